"""Executed by the kernel of a quick copy of a lesson, before its first cell.

The cells stay as they are. Each batch that a loader serves holds 8 digits at most, so
that there are as many batches, epochs and points on each curve as ever; and `assert`
says nothing, since networks that saw so little are not as good as the lesson says.
"""


def _make_quick():
    import ast

    from torch.utils.data import BatchSampler

    class NoAsserts(ast.NodeTransformer):
        def visit_Assert(self, node):  # noqa: N802
            return ast.copy_location(ast.Pass(), node)

    def serve(sampler, every=BatchSampler.__iter__):
        return (batch[:8] for batch in every(sampler))

    BatchSampler.__iter__ = serve
    get_ipython().ast_transformers.append(NoAsserts())  # noqa: F821


_make_quick()
del _make_quick

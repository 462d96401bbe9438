"""Every check with its right answer, the usual wrong ones, and sheer nonsense."""

import copy
import math
import re

import numpy as np
import optuna
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD

from mnist_lessons import LinearModel, augmentation, checks, evaluate, fit
from mnist_lessons.checks import lesson_2
from mnist_lessons.statistics import student_quantile, welch

ALL = {name: check for name, check in vars(checks).items() if callable(check)}


def centre(image, dtype=torch.int64):
    places = torch.arange(28, dtype=dtype)  # products in uint8 start again after 255
    sums = (image * places[:, None]).sum(), (image * places).sum()
    return [total / image.sum() for total in sums]


def box_centre(image):
    rows, columns = (image > 0).nonzero().T
    return [float(x.min() + x.max()) / 2 for x in (rows, columns)]


class Standardised(torch.utils.data.Dataset):
    """The right answer to lesson 1's exercise; `item(images, ...)` makes wrong ones."""

    def __init__(self, images, labels, mean, std, item=None, length=None):
        self.images, self.labels, self.mean, self.std = images, labels, mean, std
        self.item, self.length = item, length

    def __len__(self):
        return self.length(self.images) if self.length else len(self.images)

    def __getitem__(self, i):
        image = (self.images[i] / 255 - self.mean) / self.std
        image = image.unsqueeze(0)
        if self.item:
            return self.item(self, i, image, int(self.labels[i]))
        return image, self.labels[i]

    def first(self):
        return ((self.images[0] / 255 - self.mean) / self.std).unsqueeze(0)


def items(item=None, length=None):
    return lambda *given: Standardised(*given, item, length)


def pixels(change):
    """Return a data set whose images are changed from the file's: (1, 28, 28)."""
    return items(lambda s, i, _, y: (change(s, s.images[i].float().unsqueeze(0)), y))


def stops_before_the_end(s, i, x, y):
    if i == len(s.images) - 1:
        raise IndexError("too far")
    return x, y


def nearest_label(images, memory, labels, distance=None):
    distance = distance or torch.cdist
    return labels[distance(images, memory).argmin(dim=1)]


def one_by_one(images, memory, labels):
    found = []
    for image in images:
        found.append(labels[((memory - image) ** 2).sum(dim=1).argmin()])
    return torch.stack(found)


def squared_lengths(images, memory):
    return ((images.unsqueeze(1) - memory) ** 2).sum(dim=2)


def nearest_to(measure):
    return lambda x, m, y: nearest_label(x, m, y, measure)


def dropped(values, p, scale=None, mask=None):
    """Drop by a mask of a smaller shape, or scale by another factor: usual mistakes."""
    kept = torch.rand(mask or values.shape) > p
    return values * kept * (1 / (1 - p) if scale is None else scale)


def in_fixed_places(values, p):
    kept = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) > p
    return values * kept / (1 - p)


def mixes_up(train, valid, scored=None, outputs=12):
    """Return what a linear model mixes up, and its accuracy, on any images."""
    model, images = LinearModel(outputs), valid.dataset
    fit(model, train, epochs=2, lr=0.01, progress=False)
    answers, labels = model.predict(images.images), images.labels
    wrong = answers != labels
    label, answer = torch.stack([labels, answers], 1)[wrong].mode(dim=0).values
    accuracy = evaluate(model, scored or valid).accuracy
    return accuracy, images.classes[label], images.classes[answer]


def another_pair(train, valid):
    return sorted(set(valid.dataset.classes) - set(mixes_up(train, valid)))[:2]


LOG = {"log": True}
SPACE = {"lr": ("float", 0.003, 0.1, LOG), "dropout": ("float", 0, 0.4)}
SPACE |= {"weight_decay": ("float", 0.001, 1, LOG), "epochs": 1, "batch_size": 256}


def space(**changes):
    """Return a search space; what is no tuple is not asked of the trial."""

    def function(trial):
        settings = SPACE | changes
        for name, choice in settings.items():
            if isinstance(choice, tuple):
                kind, *limits = choice
                options = limits.pop() if isinstance(limits[-1], dict) else {}
                suggest = getattr(trial, f"suggest_{kind}")
                settings[name] = suggest(name, *limits, **options)
        return settings

    return function


ROLES = {"dropout": "scientific", "learning rate": "nuisance"}
ROLES |= {"weight decay": "nuisance", "batch size": "fixed", "epochs": "fixed"}


def descend(*, velocity_of=None, weight_of=None):
    """Return a step with momentum; what is given replaces the right line."""

    def step(w, g, v, lr, m):
        new = velocity_of(w, g, v, lr, m) if velocity_of else m * v + g
        moved = weight_of(w, g, v, lr, m, new) if weight_of else w - lr * new
        return moved, new

    return step


def squares(first, second):
    return first.var() / len(first), second.var() / len(second)


def welch_degrees(first, second):
    a, b = squares(first, second)
    return (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))


def around(half=None, middle=None):
    """Return an interval; what is given replaces the right part of it."""

    def ends(first, second):
        right = sum(squares(first, second)) ** 0.5
        quantile = student_quantile(float(welch_degrees(first, second)))
        wide = half(first, second, quantile) if half else quantile * right
        place = middle(first, second) if middle else first.mean() - second.mean()
        return place - wide, place + wide

    return ends


def report(**changes):
    """Return lesson 5's report, with changes by name (spaces as underscores)."""
    best = {31: 0.9871, 32: 0.9874, 33: 0.9869}
    ours = {1: 0.9852, 2: 0.9855, 3: 0.9848}
    changes = {name.replace("_", " "): value for name, value in changes.items()}
    answer = {"trials": 12, "winner": best, "lesson 4": ours, "seconds": 0.3}
    answer |= {"decision": "take the winner"} | changes
    if "interval" not in answer and isinstance(answer["winner"], dict):
        sides = [list(answer[name].values()) for name in ("winner", "lesson 4")]
        answer["interval"] = welch(*sides)[1:]
    return answer


WORSE = {31: 0.9832, 32: 0.9835, 33: 0.9828}
LIKE = {31: 0.9851, 32: 0.9858, 33: 0.9849}
KEEP = "keep lesson 4's"


def affine(*, x=None, y=None, low=None):
    """Return lesson 6's function; what is given replaces the right numbers."""

    def move(images, angles, right, down):
        c, s = angles.cos(), angles.sin()
        numbers = c, s, right, down
        rows = [torch.stack(x(*numbers) if x else [c, -s, right])]
        rows += [torch.stack(y(*numbers) if y else [s, c, down])]
        six = torch.stack(rows).permute(2, 0, 1)
        looks_at = F.affine_grid(six, list(images.shape), align_corners=False)
        dark = low(images) if low else images.min()
        return F.grid_sample(images - dark, looks_at, align_corners=False) + dark

    return move


def ways(tosses, start, stop):
    return sum(math.comb(tosses, heads) for heads in range(start, stop + 1))


def coins(first, second):
    tosses = first + second
    return min(1.0, 2 * ways(tosses, 0, min(first, second)) / 2**tosses)


def card(**changes):
    """Return lesson 6's function; what is given replaces the right facts."""
    changes = {name.replace("_", " "): value for name, value in changes.items()}

    def fill(model, digits, result):
        facts = {
            "network": type(model).__name__,
            "parameters": sum(part.numel() for part in model.parameters()),
            "learned from": len(digits),
            "pixels": (model.mean, model.std),
            "test accuracy": result.accuracy,
            "interval": result.interval,
            "limits": "answers with a digit whatever it sees",
        }
        found = [model, digits, result]
        others = {n: f(*found) if callable(f) else f for n, f in changes.items()}
        return facts | others

    return fill


def blocks(image):
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2)


def max_pool(image):
    return blocks(image).amax(dim=(1, 3))


def convolve(image, kernel, bias, *, turned=False, cut=0, padding=0, times=1):
    kernel = kernel.flip(0, 1) if turned else kernel
    response = F.conv2d(image[None, None], kernel[None, None], padding=padding)[0, 0]
    return response[cut:, cut:] + times * bias


def in_loops(image, kernel, bias, response_of=None):
    rows, columns = kernel.shape
    height, width = image.shape[0] - rows + 1, image.shape[1] - columns + 1
    response = torch.zeros(height, width)
    for row in range(height):
        for column in range(width):
            window = image[row : row + rows, column : column + columns]
            products = window * kernel
            one = response_of(window, kernel, bias) if response_of else products.sum()
            response[row, column] = one if response_of else one + bias
    return response


def square_only(image, kernel, bias):
    rows = len(kernel)
    windows = image.unfold(0, rows, 1).unfold(1, rows, 1)
    return (windows * kernel[:, :rows]).sum(dim=(2, 3)) + bias


def sizes(*values):
    names = ("as it is", "padding=2", "stride=2", "padding=2, stride=2")
    return dict(zip(names, values, strict=True))


def moved(images, most, *, top=None, left=None, fill=None, side=0, roll=False):
    """Move images at random; `top` and `left` make the draws, from most's double."""
    count, _, height, width = images.shape
    fill = float(images.min()) if fill is None else fill
    wide = F.pad(images, (most,) * 4, value=fill)
    draws = [torch.randint(0, 2 * most + 1, (count,)) for _ in range(2)]
    rows = draws[0] if top is None else top(draws[0])
    columns = draws[1] if left is None else left(draws)
    if roll:
        pairs = zip(images, rows.tolist(), columns.tolist(), strict=True)
        return torch.stack([i.roll((d - most, r - most), (1, 2)) for i, d, r in pairs])
    cut = [
        wide[i, :, rows[i] : rows[i] + height + side, columns[i] : columns[i] + width]
        for i in range(count)
    ]
    return torch.stack(cut)


def same_each_time(images, most):
    torch.manual_seed(0)
    return moved(images, most)


def farthest_from_0(image):
    largest, smallest = max_pool(image), -max_pool(-image)
    return torch.where(largest > -smallest, largest, smallest)


def step(weights, bias, images, labels, lr, truth=1, softmax=lambda z: z.softmax(1)):
    """Take the step that lesson 2 asks for, or with a part of it changed."""
    errors = softmax(images @ weights.T + bias) - truth * F.one_hot(labels, 10)
    gradient = errors.T @ images / len(images)
    return weights - lr * gradient, bias - lr * errors.mean(dim=0)


def by_autograd(weights, bias, images, labels, lr):
    w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    F.cross_entropy(images @ w.T + b, labels).backward()
    return weights - lr * w.grad, bias - lr * b.grad


def step_by_class(weights, bias, images, labels, lr):
    p = F.linear(images, weights, bias).softmax(dim=1)
    new_weights, new_bias = weights.clone(), bias.clone()
    for k in range(10):
        error = p[:, k] - (labels == k).to(p.dtype)
        new_weights[k] -= lr * (error[:, None] * images).mean(dim=0)
        new_bias[k] -= lr * error.mean()
    return [new_weights, new_bias]


def all_columns(weights, bias, images, labels, lr):
    errors = (images @ weights.T + bias).softmax(1)
    errors[:, labels] -= 1
    gradient = errors.T @ images / len(images)
    return weights - lr * gradient, bias - lr * errors.mean(dim=0)


def with_bias_moved(weights, bias, after):
    """Return new weights, and the bias moved from 0 as far as it was in `after`."""
    return after[0], bias + after[1]


def first(batches):
    return next(iter(batches))


def loss_of(logits=lambda z: z, labels=lambda z, y: y, which=0, **options):
    """Return lesson 7's first test; what is given replaces the right part of it."""

    def first_loss(make_model, batches):
        model = make_model()
        images, truth = list(batches)[which]
        z = model(images)
        return F.cross_entropy(logits(z), labels(z, truth), **options).item()

    return first_loss


def heart(times=600, *, measured="eval", changed=None, batch_of=None, loss=None):
    """Return lesson 7's second test; what is given replaces the right part of it."""

    def one_batch(make_model, train_step, batch):
        model = make_model()
        before = F.cross_entropy(model.eval()(batch[0]), batch[1]).item()
        train_step(model, (batch_of or (lambda b: [b]))(batch) * times)
        model = changed(make_model) if changed else model
        model.train(measured == "train")
        with torch.no_grad():
            z = model(batch[0])
        if loss:
            return loss(z, batch[1])
        return before if measured == "before" else F.cross_entropy(z, batch[1]).item()

    return one_batch


def step_by_step(make_model, train_step, batch):
    model = make_model()
    for _ in range(600):
        train_step(model, [batch])
    return F.cross_entropy(model.eval()(batch[0]), batch[1])


def new_each_time(make_model, train_step, batch):
    for _ in range(600):
        train_step(model := make_model(), [batch])
    return F.cross_entropy(model.eval()(batch[0]), batch[1])


def still(same=torch.equal, *, copy=lambda w: w.detach().clone(), train=True, again=0):
    """Return lesson 7's third test; what is given replaces the right part of it."""

    def unmoved(make_model, train_step, batches):
        model = make_model()
        before = {name: copy(weights) for name, weights in model.named_parameters()}
        if train:
            train_step(model, batches)
        model = make_model() if again else model
        after = dict(model.named_parameters())
        return [name for name in before if same(before[name], after[name])]

    return unmoved


def silent(is_silent, back=lambda loss: loss.backward(), names=lambda pairs: pairs):
    """Return lesson 7's fourth test: names of the tensors that are silent."""

    def without_gradient(make_model, batch):
        model = make_model()
        back(F.cross_entropy(model(batch[0]), batch[1]))
        return [n for n, w in names(model.named_parameters()) if is_silent(w)]

    return without_gradient


def no_gradient(weights):
    return weights.grad is None or not weights.grad.any()


def ends_in(*layers, before=(), bend=nn.ReLU, outputs=10):
    """Return a function that builds program B's network with another end."""
    middle = [nn.Linear(784, 128), bend(), *before, nn.Linear(128, outputs)]
    return lambda: copy.deepcopy(nn.Sequential(nn.Flatten(), *middle, *layers))


class NetD(nn.Module):
    """Program D, mended; `keep` says what is kept and what goes on."""

    def __init__(self, keep=lambda h: (h.detach(), h), end=lambda z: z):
        super().__init__()
        self.first = nn.Linear(784, 128)
        self.second, self.last = nn.Linear(128, 64), nn.Linear(64, 10)
        self.keep, self.end = keep, end

    def forward(self, images):
        hidden = self.first(images.flatten(1)).relu()
        self.seen, hidden = self.keep(hidden)
        return self.end(self.last(self.second(hidden).relu()))


def three(f="sorted digits", g="old gradients", h="nothing"):
    return {"F": f, "G": g, "H": h}


ONCE = "forward zero backward step"


def train_by(order):
    """Return a training loop whose lines come in this order."""

    def train(model, loader, epochs, lr):
        optimizer = SGD(model.parameters(), lr=lr)
        for _ in range(epochs):
            for batch in loader:
                for line in order.split():
                    if line == "forward":
                        loss = model.training_step(batch)
                    elif line == "backward":
                        loss.backward()
                    else:
                        (optimizer.step if line == "step" else optimizer.zero_grad)()
        return loss

    return train


RIGHT = {
    "centre_of_mass": [centre, lambda i: torch.stack(centre(i)).reshape(1, 2)],
    "divided_twice": ["C", " c ", "(C)"],
    "which_stops": ["B", " b."],
    "dataset": [
        Standardised,
        items(lambda s, i, x, y: (x, y)),
        items(lambda s, i, x, y: [x, np.int64(y).item()]),
        pixels(lambda s, x: x.div(255).sub(s.mean).div(s.std)),
    ],
    "nearest_neighbour": [
        nearest_label,
        one_by_one,
        nearest_to(squared_lengths),
        lambda x, m, y: y[torch.cdist(m, x).argmin(dim=0)],
        lambda x, m, y: y[torch.cdist(x, m).min(dim=1).indices].float(),
    ],
    "softmax": [lambda z: z.softmax(dim=1), lambda z: z.double().softmax(dim=1)],
    "step": [step, by_autograd, step_by_class],
    "loop_order": ["FBDGA", "dfbga", "F, D, B, G, A", list("FBGAD"), "FBCDGEA"],
    "train": [
        train_by(ONCE),
        train_by("forward zero backward step zero"),
        lambda m, b, n, lr: fit(m, b, epochs=n, lr=lr, optimizer=SGD, progress=False),
    ],
    "dropout": [
        dropped,
        lambda v, p: F.dropout(v, p).double(),
        lambda v, p: torch.where(torch.rand_like(v) < p, 0, v / (1 - p)),
    ],
    "relu_off": ["C"],
    "blame": [
        lambda e, w, z: (e @ w) * (z > 0),
        lambda e, w, z: (w.T @ e.T).T.masked_fill(z <= 0, 0),
        lambda e, w, z: torch.where(z > 0, torch.einsum("nk,kj->nj", e, w), 0),
        lambda e, w, z: (e @ w) * (z.relu() != 0).float(),
        lambda e, w, z: F.threshold(z, 0, 0).sign() * (e @ w),
    ],
    "which_overfits": ["D"],
    "one_window": [2, 2.0, torch.tensor(2.0), [2]],
    "convolve": [convolve, in_loops, lambda i, k, b: convolve(i, k, b).double()],
    "map_sizes": [sizes(24, 28, 12, 14), sizes(24.0, 28, torch.tensor(12), 14)],
    "filter_parameters": [[208, 2336], (208, 2336.0), torch.tensor([208, 2336])],
    "random_shift": [
        moved,
        lambda i, m: augmentation.random_shift(i, m),
        lambda i, m: torch.stack(
            [moved(i[n : n + 1], m, fill=float(i.min()))[0] for n in range(len(i))]
        ),
    ],
    "max_pool": [max_pool, lambda i: F.max_pool2d(i[None, None], 2)[0, 0]],
    "roles": [ROLES],
    "momentum": [descend(), lambda w, g, v, lr, m: [w - lr * (m * v + g), m * v + g]],
    "difference": [
        around(),
        lambda a, b: welch(a, b)[1:],
        lambda a, b: np.array([float(end) for end in around()(a, b)]),
    ],
    "search_space": [
        space(),
        space(lr=("categorical", [0.005, 0.01, 0.02])),
        space(hidden=("int", 32, 128, LOG), weight_decay=0.1),
    ],
    "decision": [
        report(),
        report(decision=KEEP),  # for the seconds' sake
        report(winner=LIKE, decision=KEEP),
        report(winner=WORSE, decision=KEEP, seconds=-0.2),
    ],
    "affine": [affine()],
    "mcnemar": [coins, lambda a, b: torch.tensor([coins(a, b)], dtype=torch.double)],
    "model_card": [card(), card(pixels=lambda m, d, r: [m.mean, m.std])],
    "faults": [[3, 5, 6], (6, 3, 5), {3, 5, 6}, torch.tensor([3, 5, 6])],
    "few_digits": [0.975, 0.98],
    "clothes": [
        mixes_up,
        lambda t, v: (torch.tensor(mixes_up(t, v)[0]), *mixes_up(t, v)[1:]),
    ],
    "first_loss": [
        loss_of(),
        lambda make, batches: F.cross_entropy(
            make()(first(batches)[0]), first(batches)[1]
        ),
        lambda make, batches: make() and loss_of()(make, batches),  # one to spare
        lambda make, batches: loss_of()(lambda: make().eval(), batches),
    ],
    "one_batch": [
        heart(),
        step_by_step,
        lambda *given: given[0]() and heart()(*given),  # a model to spare
    ],
    "unmoved": [
        still(),
        still(lambda a, b: bool((a == b).all())),
        lambda *given: set(still()(*given)),
    ],
    "without_gradient": [
        silent(no_gradient),
        silent(lambda w: w.grad is None or float(w.grad.abs().sum()) == 0),
    ],
    "mended_pixels": [
        lambda i: (i.float().unsqueeze(1) / 255 - 0.1307) / 0.3081,
        lambda i: (i[:, None] / 255 - 0.1307) / 0.3081,
        lambda i: (i.float().unsqueeze(1) - 0.1307 * 255) / (0.3081 * 255),
    ],
    "mended_model": [ends_in(), ends_in(nn.LogSoftmax(dim=1))],
    "mended_net": [NetD, lambda: NetD(lambda h: (h.detach().clone(), h))],
    "three_programs": [three()],
}

# usual wrong answers, by a piece of the message that each deserves
WRONG = {
    "centre_of_mass": {
        "wrong way round": lambda i: centre(i)[::-1],
        "counts alike": lambda i: centre((i > 0).int()),
        "middle of the box": box_centre,
        "from 1": lambda i: [x + 1 for x in centre(i)],
        "with //": lambda i: [x // 1 for x in centre(i)],
        "whole numbers": lambda i: [round(float(x)) for x in centre(i)],
        "uint8": lambda i: centre(i, torch.uint8),
        "not an average": lambda i: (i.sum(dim=1).sum(), i.sum()),
        "two numbers": lambda i: centre(i)[0],
        "you say row": lambda i: (13.5, 13.5),
        "does it return": lambda i: None,
        "Your function stopped": lambda i: i.mean(),
        "the function itself": (14.0, 14.0),
    },
    "divided_twice": {
        "mean subtracted": "A",
        "exactly once": "B",
        "(0.5, 0.5)": "D",
        "letters A, B, C, D": "E",
        "letter in quotes": 3,
    },
    "which_stops": {
        "one picture": "A",
        "10 over 1": "C",
        "line of the rule": "D",
        "letters A, B, C, D": "E",
        "letter in quotes": 2,
    },
    "dataset": {
        "size of one digit": items(length=lambda x: x.shape[1]),
        "for a data set of": items(length=lambda x: len(x) - 1),
        "An item is a pair": items(lambda s, i, x, y: x),
        "image comes first": items(lambda s, i, x, y: (y, x)),
        "comes first": items(lambda s, i, x, y: (s.labels[i], x)),
        "holds all digits": items(lambda s, i, x, y: (s.images / 255, y)),
        "channel is missing": items(lambda s, i, x, y: (x[0], y)),
        "not (1, 28, 28)": items(lambda s, i, x, y: (x.permute(1, 2, 0), y)),
        "(1, 1, 28, 28)": items(lambda s, i, x, y: (x.unsqueeze(0), y)),
        "several numbers": items(lambda s, i, x, y: (x, s.labels)),
        "whole number": items(lambda s, i, x, y: (x, float(y))),
        "still go from 0 to 255": pixels(lambda s, x: x),
        "not standardised yet": pixels(lambda s, x: x / 255),
        "comes before you subtract": pixels(lambda s, x: (x - s.mean) / s.std),
        "Divide by 255 first": pixels(lambda s, x: (x - s.mean) / s.std / 255),
        "before you divide": pixels(lambda s, x: x / 255 / s.std - s.mean),
        "Brackets": pixels(lambda s, x: x / 255 - s.mean / s.std),
        "do not multiply": pixels(lambda s, x: (x / 255 - s.mean) * s.std),
        "changed places": pixels(lambda s, x: (x / 255 - s.std) / s.mean),
        "not with (0.5, 0.5)": pixels(lambda s, x: (x / 255 - 0.5) / 0.5),
        "(pixels / 255 - mean) / std": pixels(lambda s, x: x / 254 - s.mean),
        "Which one was asked for": items(lambda s, i, x, y: (s.first(), y)),
        "float32": items(lambda s, i, x, y: (x.double(), y)),
        "has the label": items(lambda s, i, x, y: (x, (y + 1) % 10)),
        "depend on i alone": items(lambda s, i, x, y: (x, y - (y == 1_999))),
        "Python says: IndexError": items(stops_before_the_end),
        "does it return": items(lambda s, i, x, y: None),
        "Your function stopped": lambda images: images,
        "the function itself": 3,
    },
    "nearest_neighbour": {
        "positions in the memory": lambda x, m, y: torch.cdist(x, m).argmin(dim=1),
        "These are distances": lambda x, m, y: torch.cdist(x, m).amin(dim=1),
        "squared distances": lambda x, m, y: squared_lengths(x, m).amin(dim=1),
        "farthest": nearest_to(lambda x, m: -torch.cdist(x, m)),
        "Square them first": nearest_to(lambda x, m: torch.cdist(x, m, p=1)),
        "Squares cannot": nearest_to(lambda x, m: (x.unsqueeze(1) - m).sum(dim=2)),
        "brightest": nearest_to(lambda x, m: -x @ m.T),
        "for each stored digit": lambda x, m, y: y[torch.cdist(m, x).argmin(dim=1)],
        "has the shape (12, 1)": lambda x, m, y: nearest_label(x, m, y).unsqueeze(1),
        "two things": lambda x, m, y: torch.cdist(x, m).min(dim=1),
        "one tensor": lambda x, m, y: nearest_label(x, m, y).tolist(),
        "0 of 12 images": lambda x, m, y: (nearest_label(x, m, y) + 1) % 10,
        "changes the tensor": lambda x, m, y: nearest_label(x, m.mul_(2), y),
        "does it return": lambda x, m, y: None,
        "Your function stopped": lambda x, m, y: y[(x - m).argmin(dim=1)],
        "the function itself": 0.91,
    },
    "softmax": {
        "rows do not sum to 1. Divide": lambda z: z.exp(),
        "columns sum to 1": lambda z: z.softmax(dim=0),
        "whole batch": lambda z: z.exp() / z.exp().sum(),
        "negative": lambda z: z / z.sum(dim=1, keepdim=True),
        "logarithms": lambda z: z.log_softmax(dim=1),
        "three dots": lambda z: ... / z.sum(dim=1, keepdim=True),
        "differs from softmax": lambda z: z.sigmoid(),
        "the ratios": lambda z: (z / 2).softmax(dim=1),
        "keepdim=True": lambda z: z.exp() / z.exp().sum(dim=1),
        "two things": lambda z: z - z.max(dim=1),
        "exp(1000)": lambda z: z.exp() / z.exp().sum(dim=1, keepdim=True),
        "one maximum from the whole batch": lambda z: (
            (z - z.max()).exp() / (z - z.max()).exp().sum(dim=1, keepdim=True)
        ),
        "shape": lambda z: z.argmax(dim=1),
        "Return a tensor": lambda z: z.softmax(dim=1).tolist(),
        "gradient cannot flow": lambda z: z.softmax(dim=1).detach(),
        "changes the tensor": lambda z: z.sub_(z.amax()).softmax(dim=1),
    },
    "step": {
        "goes uphill": lambda w, b, x, y, lr: step(w, b, x, y, -lr),
        "yours is a sum": lambda w, b, x, y, lr: step(w, b, x, y, lr * len(x)),
        "Ten times too short": lambda w, b, x, y, lr: step(w, b, x, y, lr / 10),
        "truth is missing": lambda *given: step(*given, truth=0),
        "Which function makes": lambda *given: step(*given, softmax=lambda z: z),
        "wrong dimension": lambda *given: step(*given, softmax=lambda z: z.softmax(0)),
        "the labels one": lambda w, b, x, y, lr: (
            w - lr * ((x @ w.T + b).softmax(1) - y).T @ x,
            b,
        ),
        "logits by 0.1": lambda *given: step(
            *given, softmax=lambda z: (0.1 * z).softmax(1)
        ),
        "columns of all labels": all_columns,
        "lack the bias": lambda w, b, x, y, lr: with_bias_moved(
            w, b, step(w, 0 * b, x, y, lr)
        ),
        "Where is the learning rate": lambda w, b, x, y, lr: step(w, b, x, y, 1.0),
        "how far to go": lambda w, b, *rest: [
            old - new for old, new in zip((w, b), step(w, b, *rest), strict=True)
        ],
        "biases never move": lambda w, b, *rest: (step(w, b, *rest)[0], b),
        "the biases are not": lambda w, b, x, y, lr: (
            step(w, b, x, y, lr)[0],
            step(w, b, x, y, lr * len(x))[1],
        ),
        "biases are right, the weights are not": lambda w, b, *rest: (
            w * 2,
            step(w, b, *rest)[1],
        ),
        "no step was taken": lambda w, b, *rest: (w.clone(), b.clone()),
        "Return two tensors": lambda *given: step(*given)[0],
        "shape (784, 10)": lambda *given: (step(*given)[0].T, step(*given)[1]),
        "keep theirs": lambda *given: (step(*given)[0], step(*given)[1].sum()),
        "has to be turned": lambda w, b, x, y, lr: (
            w - lr * x.T @ (x @ w.T + b).softmax(1),
            b,
        ),
        "the tensor that it is given": lambda w, b, x, y, lr: (
            w.sub_(lr),
            step(w, b, x, y, lr)[1],
        ),
        "not PyTorch's step": lambda w, b, x, y, lr: (w + 1, b + 1),
    },
    "loop_order": {
        "`logits` that no line": "BFDGA",
        "`loss` that no line": "FGBDA",
        "a plain number, which": "FBEDGA",
        "Line H builds": "FBDGAH",
        "which line changes weights": "FBDG",
        "although there is a step": "FBGDA",
        "pile up in": "FBGA",
        "of the batch before": "FBADG",
        "line C puts them": "FCBDGA",
        "own answers for the truth": "FCBGA",
        "are left in": "FBAG",
        "no line X": "FBDGX",
        "needed twice": "FBDGAA",
        "as one string": 5,
        "No letters": " ",
    },
    "train": {
        "Are all blanks filled": train_by("forward zero backward"),
        "when the optimizer takes": train_by("forward backward zero step"),
        "One epoch was trained": lambda m, b, n, lr: train_by(ONCE)(m, b, 1, lr),
        "Only the first batch": lambda m, b, n, lr: train_by(ONCE)(m, b[:1], n, lr),
        "Only one step": lambda m, b, n, lr: train_by(ONCE)(m, b[:1], 1, lr),
        "always 0.03": lambda m, b, n, lr: train_by(ONCE)(m, b, n, 0.03),
        "pile up": train_by("forward backward step"),
        "not to where PyTorch's": lambda m, b, n, lr: train_by(ONCE)(m, b, n, lr / 2),
        "still has its three dots": lambda m, b, n, lr: (...).backward(),
        "does it return": lambda m, b, n, lr: train_by(ONCE)(m, b, n, lr) and None,
    },
    "dropout": {
        "No value was set": lambda v, p: v * 1,
        "Every value": lambda v, p: v * 0,
        "sum of the values falls": lambda v, p: dropped(v, p, 1),
        "became smaller": lambda v, p: dropped(v, p, 1 - p),
        "divide by p": lambda v, p: dropped(v, p, 1 / p),
        "Divide instead": lambda v, p: dropped(v, p, 1 + p),
        "multiplied by 3": lambda v, p: dropped(v, p, 3.0),
        "Which side of p": lambda v, p: dropped(v, 1 - p, 1 / (1 - p)),
        "about 20% should": lambda v, p: dropped(v, 0.5),
        "same units": lambda v, p: dropped(v, p, mask=(50,)),
        "Some images": lambda v, p: dropped(v, p, mask=(400, 1)),
        "exactly the same values": in_fixed_places,
        "With p = 0": lambda v, p: dropped(v, 0.2),
        "the same number": lambda v, p: torch.rand_like(v) * (v > 0.7),
        "gradient cannot flow": lambda v, p: dropped(v, p).detach(),
        "its place stays": lambda v, p: v[torch.rand_like(v) > p],
    },
    "relu_off": {"leads through the ReLU": "A", "another one": "B", "z for h": "D"},
    "blame": {
        "and only there": lambda e, w, z: e @ w,
        "wrong way round": lambda e, w, z: (e @ w) * (z <= 0),
        "Your function stopped": lambda e, w, z: (e @ w.T) * (z > 0),
        "cut off negative blame": lambda e, w, z: (e @ w).relu(),
        "may well be asked to shrink.": lambda e, w, z: (e @ w).relu() * (z > 0),
        "Every sign": lambda e, w, z: -(e @ w) * (z > 0),
        "or something simpler": lambda e, w, z: (e @ w) * z.relu(),
        "is not -1": lambda e, w, z: (e @ w) * z.sign(),
        "too early": lambda e, w, z: (e @ w) * (z > 0) / len(z),
        "mean over the classes": lambda e, w, z: (e @ w) * (z > 0) / e.shape[1],
        "do not take it off": lambda e, w, z: (e.abs() @ w) * (z > 0),
        "added up the images": lambda e, w, z: ((e @ w) * (z > 0)).sum(dim=0),
        "lies on its side": lambda e, w, z: w.T @ e.T * (z.T > 0),
        "for each image and each hidden unit": lambda e, w, z: e.T @ z.relu(),
        "42 numbers differ": lambda e, w, z: torch.rand(z.shape),
        "Return a tensor": lambda e, w, z: ((e @ w) * (z > 0)).tolist(),
        "changes the tensor": lambda e, w, z: (e @ w) * z.clamp_(min=0).sign(),
    },
    "which_overfits": {"to the end": "A", "it underfits": "B", "dropout on": "C"},
    "one_window": {
        "bias is still missing": 3,
        "makes the sum smaller": 4,
        "not to each of the nine": -6,
        "turned the kernel round": -4,
        "exchanged rows and columns": 0,
        "left column's pixels": 6,
        "makes the response smaller": 10,
        "sum of the window. What": 14,
        "sum of the window and the bias": 13,
        "nine products": 5,
    },
    "convolve": {
        "one number": lambda i, k, b: (i[:3, :3] * k).sum() + b,
        "would hang over": lambda i, k, b: convolve(i, k, b, padding=1),
        "are missing": lambda i, k, b: convolve(i, k, b, cut=1),
        "Too many places": lambda i, k, b: F.pad(convolve(i, k, b), (0, 1, 0, 1)),
        "Height and width": lambda i, k, b: convolve(i, k, b).T,
        "the loop over its places": lambda i, k, b: i[:3, :3] * k + b,
        "5 times 9": lambda i, k, b: convolve(i, k, b).flatten(),
        "bias is missing": lambda i, k, b: convolve(i, k, b, times=0),
        "to each product": lambda i, k, b: convolve(i, k, b, times=9),
        "upside down": lambda i, k, b: convolve(i, k, b, turned=True),
        "of the kernel, are exchanged": lambda i, k, b: convolve(i, k.T, b),
        "the mean": lambda i, k, b: in_loops(
            i, k, b, lambda w, k, b: (w * k).mean() + b
        ),
        "did you add up the products": lambda i, k, b: in_loops(
            i, k, b, lambda w, k, b: w * k + b
        ),
        "below 0": lambda i, k, b: convolve(i, k, b).relu(),
        "product of matrices": lambda i, k, b: in_loops(
            i, k, b, lambda w, k, b: (w @ k).sum() + b
        ),
        "add up the window": lambda i, k, b: in_loops(
            i, k, b, lambda w, k, b: w.sum() + b
        ),
        "All zeros": lambda i, k, b: torch.zeros(5, 9),
        "first of the nine": lambda i, k, b: i[:-2, :-2] * k[0, 0] + b,
        "number by number": lambda i, k, b: convolve(i, k, b) ** 2,
        "square kernels only": square_only,
        "Return a tensor": lambda i, k, b: convolve(i, k, b).tolist(),
        "Your function stopped": lambda i, k, b: i @ k,
    },
    "map_sizes": {
        "as it is: the place where": sizes(23, 27, 11, 13),
        "as it is: the whole kernel": sizes(28, 28, 12, 14),
        "padding=2: padding stands on both": sizes(24, 26, 12, 14),
        "padding=2: the padding makes": sizes(24, 24, 12, 14),
        "stride=2: a stride of 2": sizes(24, 28, 24, 14),
        "stride=2: half a place": sizes(24, 28, 12.5, 14),
        "stride=2: a step over the end": sizes(24, 28, 13, 14),
        "padding=2, stride=2: the whole kernel": sizes(24, 28, 12, 16),
        "row of boxes": sizes(24, 28, 12, 99),
        "Keep the four names": {"as it is": 24},
        "Keep the dictionary": [24, 28, 12, 14],
        "four numbers": sizes(24, 28, 12, "half"),
    },
    "filter_parameters": {
        "first, what about the biases": [200, 2336],
        "There are eight": [26, 2336],
        "not as the weights": [225, 2336],
        "weights are shared": [208 * 576, 2336],
        "The first: eight filters": [207, 2336],
        "second, what about the biases": [208, 2304],
        "sees all eight maps": [208, 320],
        "one bias, not one": [208, 2560],
        "as its filters": [208, 2312],
        "There are 32": [208, 73],
        "How many numbers does one hold": [208, 1],
        "two numbers in brackets": [208],
    },
    "random_shift": {
        "Nothing has moved": lambda i, _m: i.clone(),
        "move together": lambda i, m: moved(
            i,
            m,
            top=lambda t: t[:1].expand(len(t)),
            left=lambda t: t[1][:1].expand(len(t[1])),
        ),
        "to the sides only": lambda i, m: moved(i, m, top=lambda t: t * 0 + m),
        "up and down only": lambda i, m: moved(i, m, left=lambda t: t[0] * 0 + m),
        "as far down as": lambda i, m: moved(i, m, left=lambda t: t[0]),
        "draws from 0 to n - 1": lambda i, m: moved(i, m, top=lambda t: t.clamp(min=1)),
        "None ever moves down": lambda i, m: moved(i, m, top=lambda t: t.clamp(min=m)),
        "some move by 4": lambda i, m: moved(i, m + 1),
        "in the same way": same_each_time,
        "filled with 0": lambda i, m: moved(i, m, fill=0.0),
        "comes back on the other": lambda i, m: moved(i, m, roll=True),
        "should be unchanged": lambda i, m: moved(i, m).clamp(min=-0.5),
        "you have a list": lambda i, m: list(moved(i, m)),
        "should keep it": lambda i, m: F.pad(i, (m,) * 4),
    },
    "max_pool": {
        "the mean": lambda i: blocks(i).mean(dim=(1, 3)),
        "the smallest": lambda i: blocks(i).amin(dim=(1, 3)),
        "start at 0": lambda i: max_pool(i).clamp(min=0),
        "farthest from 0": farthest_from_0,
        "one corner": lambda i: i[::2, ::2],
        "four neighbours in a row": lambda i: i.reshape(4, 6, 4).amax(dim=2),
        "overlap": lambda i: F.max_pool2d(i[None, None], 2, 1)[0, 0],
        "run *inside* a block": lambda i: blocks(i).amax(dim=(2, 3)),
        "Which two axes": lambda i: blocks(i).amax(dim=(0, 1)),
        "half as high": lambda i: blocks(i).amax(dim=1),
        "two things": lambda i: blocks(i).amax(dim=3).max(dim=1),
        "gradient cannot flow": lambda i: max_pool(i).detach(),
        "two rows and two columns": lambda i: blocks(i)[:, 1, :, 1],
    },
    "roles": {
        "Keep the dictionary": list(ROLES.values()),
        "dropout needs one of the words": ROLES | {"dropout": "tuned"},
        "That one is scientific": ROLES | {"dropout": "nuisance"},
        "does not ask about epochs": ROLES | {"epochs": "scientific"},
        "the other side loses by that alone": ROLES | {"learning rate": "fixed"},
        "the best amount of one depends": ROLES | {"weight decay": "fixed"},
        "becomes of the epochs": ROLES | {"epochs": "nuisance"},
    },
    "momentum": {
        "Along what should it go": descend(
            weight_of=lambda w, g, v, lr, m, n: w - lr * g
        ),
        "uses the old velocity": descend(
            weight_of=lambda w, g, v, lr, m, n: w - lr * v
        ),
        "an average of gradients": descend(
            velocity_of=lambda w, g, v, lr, m: m * v + (1 - m) * g
        ),
        "walks uphill": descend(weight_of=lambda w, g, v, lr, m, n: w + lr * n),
        "holds the rate already": descend(
            velocity_of=lambda w, g, v, lr, m: m * v + lr * g,
            weight_of=lambda w, g, v, lr, m, n: w - n,
        ),
        "never slows down": descend(velocity_of=lambda w, g, v, lr, m: v + g),
        "not those of torch.optim.SGD": lambda w, g, v, lr, m: (w, v),
        "velocity that you return": descend(
            velocity_of=lambda w, g, v, lr, m: m * v - lr * g,
            weight_of=lambda w, g, v, lr, m, n: w + n,
        ),
        "two tensors": lambda w, g, v, lr, m: w - lr * (m * v + g),
    },
    "difference": {
        "Return two numbers": lambda a, b: around()(a, b)[0],
        "not a number": lambda a, b: (math.nan, math.nan),
        "wrong way round": lambda a, b: around()(a, b)[::-1],
        "wrong sign": around(middle=lambda a, b: b.mean() - a.mean()),
        "difference of the two means": around(middle=lambda a, b: a.mean()),
        "one standard error": around(lambda a, b, t: sum(squares(a, b)) ** 0.5),
        "1.96 is right for very many": around(
            lambda a, b, t: 1.96 * sum(squares(a, b)) ** 0.5
        ),
        "how far single runs spread": around(
            lambda a, b, t: t * (a.var() + b.var()) ** 0.5
        ),
        "one less than the number": around(
            lambda a, b, t: t * (a.var(False) / 6 + b.var(False) / 4) ** 0.5
        ),
        "divides standard deviations": around(
            lambda a, b, t: t * (a.std() / 6 + b.std() / 4) ** 0.5
        ),
        "Two standard errors do not add up": around(
            lambda a, b, t: t * (a.std() / 6**0.5 + b.std() / 2)
        ),
        "both spreads for the same": around(
            lambda a, b, t: (
                student_quantile(8)
                * ((5 * a.var() + 3 * b.var()) / 8 * (1 / 6 + 1 / 4)) ** 0.5
            )
        ),
        "into one heap": around(
            lambda a, b, t: t * (torch.cat([a, b]).var() * (1 / 6 + 1 / 4)) ** 0.5
        ),
        "The root is missing": around(lambda a, b, t: t * sum(squares(a, b))),
        "the width is not": around(lambda a, b, t: 0.02),
    },
    "search_space": {
        "Return a dictionary": lambda t: list(space()(t).values()),
        "ask the trial for nothing": lambda t: {"lr": 0.01},
        "do not return it by that name": lambda t: {"rate": space()(t)["lr"]},
        "Which of them matter most": space(
            label_smoothing=("float", 0, 0.2), shift=("float", 0, 2)
        ),
        'The rate, "lr", is not among': space(lr=0.01),
        "Say log=True": space(lr=("float", 0.003, 0.1)),
        "is not inside your range": space(lr=("float", 0.02, 0.1, LOG)),
        "stands at an end": space(lr=("float", 0.008, 0.1, LOG)),
        "where nothing can be learned": space(lr=("float", 1e-5, 1, LOG)),
        "No CNN can be built": space(width=64),
        "More epochs than one": space(epochs=2),
        "when `log` is true": space(lr=("float", 0.003, 0.1, LOG | {"step": 0.001})),
    },
    "decision": {
        "Keep the dictionary": ["take the winner"],
        "The budget was 12 trials": report(trials=13),
        "winner: give the accuracies by their seeds": report(
            winner=[0.98, 0.99, 0.98], interval=(0, 1)
        ),
        "Seed 0 is the one": report(winner={0: 0.98, 1: 0.985, 2: 0.982}),
        "Both sides have the seed [3]": report(winner={3: 0.98, 4: 0.985, 5: 0.982}),
        "lesson 4 minus the winner": report(
            interval=[-x for x in reversed(report()["interval"])]
        ),
        "not the interval of the difference": report(interval=(0.0, 0.003)),
        "The interval has two ends": report(interval=0.002),
        "a number": report(seconds="a few"),
        "The decision is one of": report(decision="maybe"),
        "the winner is worse": report(winner=WORSE),
        "luck with the seeds explains": report(winner=LIKE),
    },
    "affine": {
        "a grey here": affine(low=lambda images: 0),
        "turns the other way": affine(
            x=lambda c, s, r, d: [c, s, r], y=lambda c, s, r, d: [-s, c, d]
        ),
        "a mirror, or a shear": affine(x=lambda c, s, r, d: [c, s, r]),
        "Right and down": affine(
            x=lambda c, s, r, d: [c, -s, d], y=lambda c, s, r, d: [s, c, r]
        ),
        "x and y have changed": affine(
            x=lambda c, s, r, d: [s, c, r], y=lambda c, s, r, d: [c, -s, d]
        ),
        "The images differ": lambda images, a, r, d: images,
        "you return (1, 28, 28)": lambda images, a, r, d: images[0],
        "Return a tensor": lambda images, a, r, d: "moved",
        "Your function stopped": lambda images: images,
    },
    "mcnemar": {
        "one side only": lambda a, b: ways(a + b, 0, min(a, b)) / 2 ** (a + b),
        "You count the one result": lambda a, b: math.comb(a + b, a) / 2 ** (a + b),
        "You double the one result": lambda a, b: (
            2 * math.comb(a + b, a) / 2 ** (a + b)
        ),
        "The result that came out is missing": lambda a, b: (
            2 * ways(a + b, 0, min(a, b) - 1) / 2 ** (a + b)
        ),
        "the middle and not the ends": lambda a, b: 1 - coins(a, b),
        "from the wrong side": lambda a, b: (
            ways(a + b, min(a, b), a + b) / 2 ** (a + b)
        ),
        "do not divide": lambda a, b: coins(a, b) * 2 ** (a + b),
        "you return more than 1": lambda a, b: (
            2 * ways(a + b, 0, min(a, b)) / 2 ** (a + b)
        ),
        "you return 0.5": lambda a, b: 0.5,
        "Return one number": lambda a, b: (coins(a, b), 1),
    },
    "model_card": {
        "Return a dictionary": lambda m, d, r: [m, d, r],
        "The card has lost limits": lambda m, d, r: {
            n: v for n, v in card()(m, d, r).items() if n != "limits"
        },
        "all numbers that the model": card(parameters=110_000),
        "how many digits it learned": card(learned_from=50_000),
        "the mean and the deviation": card(pixels=lambda m, d, r: m.mean),
        "Take it from what": card(pixels=lambda m, d, r: (m.std, m.mean)),
        "the accuracy in the test score": card(test_accuracy="99 %"),
        "The two ends".lower(): card(interval=(0.99, 0.995)),
        "which class must be built": card(network="a network"),
        "a sentence about what": card(limits="none"),
    },
    "faults": {
        "Give three numbers": [3, 5],
        "such as [1, 2, 8]": [3, 5, 9],
        "only says what is compared": [1, 5, 6],
        "Nothing is unfair": [3, 2, 6],
        "fresh seeds, ten of each": [3, 5, 4],
        "names a price": [3, 7, 6],
        "lets others try it": [8, 3, 5],
    },
    "few_digits": {"97.49%, nearly": 0.9749, "94.7": 0.947, "No network learns": 0.995},
    "clothes": {
        "too few outputs": lambda t, v: mixes_up(t, v, outputs=10),
        "on the training images?": lambda t, v: mixes_up(t, v, scored=t),
        "three things": lambda t, v: mixes_up(t, v)[1:],
        "place in valid.dataset.classes": lambda t, v: (0.92, 3, 4),
        "not in valid.dataset.classes": lambda t, v: (0.92, "Shirt", "Coat"),
        "a fraction": lambda t, v: (92.0, "cup", "mug"),
        "no mistake": lambda t, v: (0.92, "cup", "cup"),
        "Only 31.0% right": lambda t, v: (0.31, "cup", "mug"),
        "wrong way round": lambda t, v: (0.92, *mixes_up(t, v)[:0:-1]),
        "not mixed up": lambda t, v: (0.92, *another_pair(t, v)),
        "Your function stopped": lambda t, v: t.missing,
        "the function itself": (0.92, "Shirt", "Coat"),
    },
    "first_loss": {
        "applies softmax itself": loss_of(lambda z: z.softmax(dim=1)),
        "sum over the batch": loss_of(reduction="sum"),
        "model's own answers": loss_of(labels=lambda z, y: z.argmax(dim=1)),
        "share of right answers": lambda make, batches: (
            (make()(first(batches)[0]).argmax(dim=1) == first(batches)[1])
            .float()
            .mean()
        ),
        "on another batch": loss_of(which=-1),
        "mean over all batches": lambda make, batches: (
            sum(F.cross_entropy(model(x), y) for model in [make()] for x, y in batches)
            / 3
        ),
        "No model was built": lambda make, batches: math.log(10),
        "not subscriptable": lambda make, batches: F.cross_entropy(
            make()(batches[0][0]), batches[0][1]
        ),
        "takes no arguments": lambda make, batches: make(first(batches)[0]),
        "and you return 2.30": lambda make, batches: make() and math.log(10),
        "one number": lambda make, batches: make()(first(batches)[0]),
        "not a number": lambda make, batches: math.nan,
        "does it return": lambda make, batches: None,
        "Your function stopped": lambda make, batches: make()(batches),
        "the function itself": 2.3,
    },
    "one_batch": {
        "wants batches": heart(batch_of=list),
        "No model was built": lambda make, train, batch: 0.1,
        "No step was taken": heart(0),
        "One step was taken": heart(1),
        "60 steps were taken": heart(60),
        "second new model": heart(changed=lambda make: make()),
        "another new model": new_each_time,
        "on another batch": heart(batch_of=lambda b: [(b[0] + 1, b[1])]),
        "in training mode": heart(measured="train"),
        "applies softmax": heart(loss=lambda z, y: F.cross_entropy(z.softmax(1), y)),
        "share of right": heart(loss=lambda z, y: (z.argmax(1) == y).float().mean()),
        "measured after the steps": heart(measured="before"),
        "one number": heart(loss=lambda z, y: z),
        "does it return": lambda make, train, batch: train(make(), [batch] * 600),
        "Your function stopped": lambda make, train, batch: train(make, [batch]),
        "the function itself": 0.01,
    },
    "unmoved": {
        "a second name": still(copy=lambda w: w),
        "a second name for": still(copy=lambda w: w.detach()),
        "No step was taken": still(train=False),
        "build a second model": still(again=1),
        "ones that move": still(lambda a, b: not torch.equal(a, b)),
        "rows changed places": still(lambda a, b: bool((a == b).any())),
        "One number that moves": still(lambda a, b: torch.isclose(a.sum(), b.sum())),
        "sums and sizes": still(lambda a, b: torch.isclose(a.norm(), b.norm())),
        "exactly the same": still(torch.allclose),
        "less than a millionth": still(lambda a, b: (a - b).abs().max() < 1e-4),
        "tensors alike": lambda *given: [
            name for name in still()(*given) if "weight" in name
        ],
        "a list of names": lambda *given: bool(still()(*given)),
        "wants batches": lambda make, train, batches: (
            train(make(), first(batches)) or []
        ),
        "does it return": lambda make, train, batches: train(make(), batches),
        "the function itself": ["1.bias"],
    },
    "without_gradient": {
        "None first": silent(lambda w: not w.grad.any()),
        "0 everywhere": silent(lambda w: w.grad is None),
        "numbers cancel": silent(lambda w: w.grad is None or float(w.grad.sum()) == 0),
        "some numbers": silent(lambda w: w.grad is None or not w.grad.all()),
        "No gradient was computed": silent(no_gradient, back=lambda loss: None),
        "that do get": silent(lambda w: not no_gradient(w)),
        "used nowhere": silent(lambda w: w.grad is not None and not w.grad.any()),
        "a list of names": lambda make, batch: len(silent(no_gradient)(make, batch)),
        "such as": lambda make, batch: list(make().parameters()),
        "does it return": lambda make, batch: None,
        "Your function stopped": lambda make, batch: make()(batch),
        "the function itself": ["first.weight"],
    },
    "mended_pixels": {
        "A network wants": lambda i: (i.float() / 255 - 0.1307) / 0.3081,
        "divided twice": lambda i: (i.unsqueeze(1) / 255 / 255 - 0.1307) / 0.3081,
        "after the standardising": lambda i: (i.unsqueeze(1) - 0.1307) / 0.3081 / 1e5,
        "with //": lambda i: (i.unsqueeze(1) // 255 - 0.1307) / 0.3081,
        "which scale": lambda i: i.float().unsqueeze(1),
        "mean is": lambda i: i.unsqueeze(1) / 255,
        "changes the tensor": lambda i: i.zero_().float().unsqueeze(1),
        "does it return": lambda i: None,
        "Return a tensor": lambda i: i.tolist(),
        "the function itself": 255,
    },
    "mended_model": {
        "ten numbers": ends_in(outputs=128),
        "over the batch": ends_in(nn.Softmax(dim=0)),
        "lie between 0 and 1. ": ends_in(nn.Sigmoid()),
        "lie between 0 and": ends_in(nn.ReLU()),
        "lie between -1 and 1. ": ends_in(nn.Tanh()),
        "lie between -0.17 and": ends_in(nn.GELU()),
        "free to be anything": ends_in(nn.Softplus()),
        "which part of": ends_in(nn.LogSigmoid()),
        "squeezes them": ends_in(before=(nn.Softmax(dim=1),)),
        "a sound program reads": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 1), nn.LeakyReLU(), nn.Linear(1, 10)
        ),
        "The bend is gone": ends_in(bend=nn.Identity),
        "Return a network": lambda: nn.Linear,
        "does it return": lambda: None,
        "the function itself": nn.Linear(784, 10).weight,
    },
    "mended_net": {
        "whole of": lambda: NetD(end=lambda z: z.detach()),
        "is kept in self.seen": lambda: NetD(lambda h: (None, h)),
        "no tensor is kept": lambda: NetD(lambda h: (h.detach().numpy(), h)),
        "drags its history": lambda: NetD(lambda h: (h, h)),
        "after its ReLU": lambda: NetD(lambda h: (h.detach() - 1, h)),
        "something else than": lambda: NetD(lambda h: (h.detach(), 2 * h)),
        "still cut off": lambda: NetD(lambda h: (None, h.detach())),
        "class of a network": lambda: nn.Linear,
        "Your function stopped": lambda: nn.Linear(784),
        "the function itself": 3,
    },
    "three_programs": {
        "a word for each": {"F": "sorted digits"},
        "not on the list": three(g="zero_grad"),
        "goes up by a class": three(f="nothing"),
        "order of": three(f="a leak"),
        "its curve falls": three(g="nothing"),
        "All tensors move": three(g="another optimizer"),
        "how many gradients": three(g="sorted digits"),
        "which test found": three(h="a leak"),
    },
}


@pytest.mark.parametrize("name", ALL)
def test_right_answers_pass_and_usual_wrong_ones_get_hints_of_their_own(name, capfd):
    check = ALL[name]
    assert check.__doc__.startswith("Check ")
    for answer in RIGHT[name]:
        verdict = check(answer)
        assert verdict.status == "right", verdict
        assert repr(verdict).startswith("✓ Right.")
        assert len(verdict.message.split()) > 10  # a sentence of why it matters
    for hint, answer in WRONG[name].items():
        verdict = check(answer)
        assert verdict.status == "not yet"
        assert hint in verdict.message
        if isinstance(answer, str):  # a letter: the right one is not given away
            assert RIGHT[name][0] not in verdict.message.replace(".", " ").split()
    assert check(...) == checks.NOT_TRIED
    takes_a_function = callable(RIGHT[name][0])
    untried = check(lambda *_: ...)
    assert untried.status == ("not tried" if takes_a_function else "not yet")
    assert capfd.readouterr() == ("", "")  # Optuna is silent, and PyTorch


def test_every_check_has_right_and_wrong_answers_here():
    assert set(ALL) == set(RIGHT) == set(WRONG)
    assert ALL["centre_of_mass"](lambda _image: (..., ...)) == checks.NOT_TRIED
    assert ALL["search_space"](space(lr=...)) == checks.NOT_TRIED
    assert optuna.logging.get_verbosity() == optuna.logging.INFO  # as it was


class Hostile:
    """Raises whatever is done with it."""

    def _refuse(self, *_args, **_kwargs):
        raise ArithmeticError

    __eq__ = __bool__ = __len__ = __iter__ = __float__ = __getattr__ = _refuse
    __str__ = __repr__ = __call__ = __lt__ = __gt__ = __getitem__ = _refuse
    __hash__ = None


def exits(*_args):
    raise SystemExit(3)


STRANGE = [
    None, -1, math.inf, math.nan, "", "?", b"A", [], {}, object(), torch, ["a"], exits,
    torch.tensor([]), torch.zeros(3, 3), Hostile(), Hostile, lambda: 1, lambda x: x,
    lambda x: Hostile(), lambda x: "no", lambda x: [Hostile(), Hostile()], print,
    lambda x: [math.nan, math.nan], torch.nn.Linear(784, 10), lambda x: torch.zeros(0),
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_a_check_never_raises_and_never_praises_nonsense(name, capsys):
    for answer in STRANGE:
        verdict = ALL[name](answer)
        assert verdict.status in {"not yet", "not tried"}
        assert verdict.message.strip()
        assert repr(verdict)


FRESH = ["centre_of_mass", "dataset", "nearest_neighbour", "softmax", "step"]
FRESH += ["dropout", "max_pool", "convolve", "momentum", "difference", "affine"]


@pytest.mark.parametrize("name", FRESH)
def test_input_is_fresh_each_time_and_never_changes_the_verdict(name):
    seen, before = [], torch.get_rng_state()
    for _ in range(2):
        ALL[name](lambda *inputs: seen.append(inputs[0].clone()))
    assert torch.equal(before, torch.get_rng_state())  # the notebook's are left alone
    assert not torch.equal(*seen)
    for _ in range(50):
        assert ALL[name](RIGHT[name][0]).status == "right"
        for hint, answer in WRONG[name].items():
            assert hint in ALL[name](answer).message


def test_checks_that_train_do_without_the_digits(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(tmp_path))
    for stored in (lesson_2.some_digits, lesson_2._after_loop):
        stored.cache_clear()
    for name in ("step", "loop_order", "train"):
        assert ALL[name](RIGHT[name][0]).status == "right"
    for stored in (lesson_2.some_digits, lesson_2._after_loop):
        stored.cache_clear()


def test_what_a_learner_wrote_reads_real_digits():
    for name, least in (("step", 60), ("train", 60)):
        praise = ALL[name](RIGHT[name][0]).message
        reached = re.findall(r"(\d+) % of 400", praise)
        assert int(reached[-1]) > least, praise


def test_the_stop_button_still_works():
    def stopped(_image):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.centre_of_mass(stopped)

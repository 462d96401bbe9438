"""The checks of the exercises: `checks.softmax(my_softmax)` says how it went.

A check looks at properties on fresh random input, never at the text of an answer. It
says one of three things: not tried yet; right, and why it matters; not yet, with the
likely mistake and without the answer. It never raises, whatever it is given, so that a
notebook always runs to its end.
"""

from mnist_lessons.checks.asking import NOT_TRIED
from mnist_lessons.checks.lesson_1 import (
    centre_of_mass,
    dataset,
    divided_twice,
    nearest_neighbour,
    which_stops,
)
from mnist_lessons.checks.lesson_2 import (
    loop_order,
    softmax,
    step,
    train,
)
from mnist_lessons.checks.lesson_3 import blame, dropout, relu_off, which_overfits
from mnist_lessons.checks.lesson_4 import (
    convolve,
    filter_parameters,
    map_sizes,
    max_pool,
    one_window,
    random_shift,
)
from mnist_lessons.checks.lesson_5 import (
    decision,
    difference,
    momentum,
    roles,
    search_space,
)
from mnist_lessons.checks.lesson_6 import (
    affine,
    clothes,
    faults,
    few_digits,
    mcnemar,
    model_card,
)
from mnist_lessons.checks.lesson_7 import (
    first_loss,
    mended_model,
    mended_net,
    mended_pixels,
    one_batch,
    three_programs,
    unmoved,
    without_gradient,
)

"""Any photo, scan or drawing of a digit -> 28x28 pixels, as MNIST was made."""

from mnist_lessons.photos.filtering import resize
from mnist_lessons.photos.opening import ImageError, read_grey
from mnist_lessons.photos.recognition import (
    SIZE,
    BlankImageError,
    as_text,
    read_digit,
    steps_of,
)

"""The authors' order of random draws for Temporal Shape, which makes their published checksums comparable."""

import random

import numpy as np

from retrace.data.synthetic.draws import CLASSES, Draws


def authors_draws(generator, clips, digits=0, seed=7):
    """Draw as the authors do: two global streams (NumPy's and Python's), in their order of calls."""
    numpy, python = np.random.RandomState(seed), random.Random(seed)
    rows = [_authors_clip(generator, digits, numpy, python) for _ in range(clips)]
    return Draws(*map(np.array, zip(*rows, strict=True)))


def _authors_clip(generator, digits, numpy, python):
    octaves = numpy.randint(1, 10) if generator.background else 1
    label = numpy.randint(5)
    reach, reverse, roll, angle, scale = 8, False, 0, 0.0, 1.0
    match CLASSES[label]:
        case "circle":
            reverse, roll = python.uniform(0, 1) > 0.5, numpy.randint(20)
        case "arc":
            angle, reverse = python.uniform(0, 2 * np.pi), python.uniform(0, 1) > 0.5
        case "spiral":
            reverse, scale = python.uniform(0, 1) > 0.5, numpy.randint(2, 11) * 0.1
            reach = 10 if generator.symbol == "dot" else 8
        case "line":
            scale, angle = numpy.randint(1, 4), np.pi * (2 * numpy.rand() - 1)
            reach = 2 * scale
        case "rectangle":
            scale, reverse, roll = numpy.randint(1, 4), python.uniform(0, 1) > 0.5, numpy.randint(20)
            reach = 2 * scale
    digit = numpy.randint(0, digits, 1)[0] if digits else 0
    low = 2 * reach + generator.size
    start = numpy.randint(low, 64 - low), numpy.randint(low, 64 - low)
    seeds = [python.randint(1, generator.noise_seeds) if generator.background else 1 for _ in range(20)]
    return label, start, reverse, roll, angle, scale, digit, octaves, seeds

"""Pretraining as the sources do it, shared by their recipes.

Where a source counts steps, one epoch and a floor in steps says the same on any data set. All
sources use batches of 256; Keras initialises its layers otherwise than this package does, which
no recipe imitates.
"""

from math import sqrt

# Text in the DEC family is scaled so that the mean square is 1, not the norm.
TEXT = sqrt(2000)

# DEC-keras, on MNIST: 300 epochs of SGD.
DEC_KERAS_MNIST = {
    "center": None,
    "scale": None,
    "noise": 0.0,
    "optimizer": "sgd",
    "lr": 1.0,
    "momentum": 0.9,
    "max_epochs": 300,
    "min_steps": 0,
}

# DEC-keras, on text: the same for 50 epochs.
DEC_KERAS_TEXT = {**DEC_KERAS_MNIST, "max_epochs": 50}

# DEC-keras, on USPS: 50 epochs of Adam.
DEC_KERAS_USPS = {
    "center": None,
    "scale": None,
    "noise": 0.0,
    "optimizer": "adam",
    "lr": 1e-3,
    "max_epochs": 50,
    "min_steps": 0,
}

# DCEC and DEKM: 200 epochs of Adam.
ADAM_200 = {**DEC_KERAS_USPS, "max_epochs": 200}


def stacked_denoising(layerwise_epochs):
    """DEC's original pretraining, which IDEC starts from too.

    50,000 steps a layer with dropout 0.2 on its input and code, then 100,000 for the whole
    network without, by SGD. The original divides the learning rate by 10 every 20,000 steps; it
    is constant here.

    Parameters
    ----------
    layerwise_epochs : int
        Passes over the data that make 50,000 steps.
    """
    return {
        "center": None,
        "scale": None,
        "noise": 0.0,  # of the whole network
        "layerwise_epochs": layerwise_epochs,
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "max_epochs": 1,
        "min_steps": 100_000,
    }

#!/usr/bin/env python3
"""The velocity of a trained model in Python, by ctypes alone: NumPy arrays in and out.

    python3 examples/velocity.py runs/moons [libflowcl.so]
"""
import ctypes as c
import sys

import numpy as np


class Shape(c.Structure):  # fcl_shape
    _fields_ = [("rank", c.c_int), ("dim", c.c_int64 * 8)]


class Array(c.Structure):  # fcl_array
    _fields_ = [("shape", Shape), ("data", c.POINTER(c.c_float))]


flowcl = c.CDLL(sys.argv[2] if len(sys.argv) > 2 else "libflowcl.so.0")
flowcl.fcl_error.restype = c.c_char_p


def check(status):
    if status:
        raise RuntimeError(flowcl.fcl_error().decode())


def borrowed(numbers):
    """An fcl_array of these numbers, which must outlive it."""
    return Array(Shape(numbers.ndim, (c.c_int64 * 8)(*numbers.shape)), numbers.ctypes.data_as(c.POINTER(c.c_float)))


class Model:
    def __init__(self, path):
        self.device, self.checkpoint = c.c_void_p(), c.c_void_p()
        check(flowcl.fcl_device_open(None, None, c.byref(self.device)))
        check(flowcl.fcl_checkpoint_open(path.encode(), c.byref(self.checkpoint)))

    def velocity(self, x, t):
        """x (n, ...) in the data's units, t (n) from 0, noise, to 1, data -> (n, ...)"""
        x, t = (np.ascontiguousarray(a, dtype=np.float32) for a in (x, t))
        v = c.POINTER(Array)()
        check(flowcl.fcl_velocity_at(self.device, self.checkpoint, None, c.byref(borrowed(x)), c.byref(borrowed(t)), None,
                                     c.byref(v)))
        result = np.ctypeslib.as_array(v.contents.data, shape=x.shape).copy()
        flowcl.fcl_array_destroy(c.byref(v))
        return result


if __name__ == "__main__":
    model, x = Model(sys.argv[1]), np.random.default_rng(0).standard_normal((1000, 2))
    for t in np.arange(0, 1, 0.01):  # Euler's steps, from noise to data
        x = x + 0.01 * model.velocity(x, np.full(len(x), t))
    print(f"mean {x.mean(0)}, deviation {x.std(0)}")

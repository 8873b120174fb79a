/* Folders of pictures with classes, for tests of trainings. */
#ifndef TESTS_CLASS_PICTURES_H
#define TESTS_CLASS_PICTURES_H

#include "picture_files.h"
#include "scratch.h"
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Picture number i of the folder "set", of random colours, in one of three classes. */
static inline void write_class_picture(int i, int width, int height)
{
    size_t size = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = malloc(size);
    char name[40];
    mkdir(scratch_path("set"), 0777);
    snprintf(name, sizeof name, "set/%d", i % 3);
    mkdir(scratch_path(name), 0777);
    snprintf(name, sizeof name, "set/%d/%d.png", i % 3, i);
    for (size_t k = 0; k < size; k++)
        pixels[k] = (uint8_t)trial_int(0, 255);
    png_write_plain(scratch_path(name), width, height, 3, pixels);
    free(pixels);
}

#endif

/* Convolutions of images, channels last, and their two gradients, for any device: a work-item an element of the result,
 * dimension 0 along its last axis. Names and formula: src/device/conv.h. Of the inputs `step0` and `step1` are the sizes of
 * one of the batch, 0 where all share it. */

#define CONV_SIZES                                                                                                     \
    int images, int height, int width, int channels, int out_height, int out_width, int outputs, int side, int stride, \
        int padding, int upsample, int step0, int step1, int rows

kernel void conv2d(const global float *restrict x, const global float *restrict w, global float *restrict y, CONV_SIZES)
{
    const int o = get_global_id(0), row = get_global_id(1);
    if (o >= outputs || row >= rows)
        return;
    const int image = row / out_width / out_height, item = image / images;
    const int top = row / out_width % out_height * stride - padding, left = row % out_width * stride - padding;
    x += item * step0 + image % images * height * width * channels;
    w += item * step1 + o;
    float sum = 0;
    for (int i = max(top, 0); i < min(top + side, height * upsample); i++)
        for (int j = max(left, 0); j < min(left + side, width * upsample); j++) {
            const global float *pixel = x + (i / upsample * width + j / upsample) * channels;
            const global float *weight = w + ((i - top) * side + j - left) * channels * outputs;
            float part = 0; /* sums of sums round less */
            for (int c = 0; c < channels; c++)
                part += pixel[c] * weight[c * outputs];
            sum += part;
        }
    y[row * outputs + o] = sum;
}

/* Only what has read the pixel: with a stride of 2 every second row and column of the kernel. */
kernel void conv2d_input(const global float *restrict y, const global float *restrict w, global float *restrict x,
                         CONV_SIZES)
{
    const int c = get_global_id(0), row = get_global_id(1);
    if (c >= channels || row >= rows)
        return;
    const int image = row / width / height, item = image / images;
    const int top = row / width % height * upsample + padding, left = row % width * upsample + padding;
    y += item * step0 + image % images * out_height * out_width * outputs;
    w += item * step1 + c * outputs;
    float sum = 0;
    for (int at = 0; at < upsample * upsample; at++) {
        const int down = top + at / upsample, along = left + at % upsample;
        for (int u = down % stride; u < side; u += stride)
            for (int v = along % stride; v < side; v += stride) {
                const int i = (down - u) / stride, j = (along - v) / stride;
                if (u > down || v > along || i >= out_height || j >= out_width)
                    continue;
                const global float *pixel = y + (i * out_width + j) * outputs;
                const global float *weight = w + (u * side + v) * channels * outputs;
                float part = 0;
                for (int o = 0; o < outputs; o++)
                    part += pixel[o] * weight[o];
                sum += part;
            }
    }
    x[row * channels + c] = sum;
}

/* A part of `chunk` rows of the images: w (batch, parts, side, side, channels, outputs). */
kernel void conv2d_weight(const global float *restrict x, const global float *restrict y, global float *restrict w,
                          CONV_SIZES, int chunk, int parts)
{
    const int o = get_global_id(0), row = get_global_id(1);
    if (o >= outputs || row >= rows)
        return;
    const int c = row % channels, tap = row / channels % (side * side), part = row / channels / (side * side);
    const int begin = part % parts * chunk, end = min(begin + chunk, images * out_height);
    const int up = tap / side - padding, before = tap % side - padding;
    x += part / parts * step0 + c;
    y += part / parts * step1 + o;
    float sum = 0;
    for (int line = begin; line < end; line++) {
        const int i = line % out_height * stride + up;
        if (i < 0 || i >= height * upsample)
            continue;
        const global float *from = x + (line / out_height * height + i / upsample) * width * channels;
        float part = 0;
        for (int k = 0; k < out_width; k++) {
            const int j = k * stride + before;
            if (j >= 0 && j < width * upsample)
                part += from[j / upsample * channels] * y[(line * out_width + k) * outputs];
        }
        sum += part;
    }
    w[row * outputs + o] = sum;
}
#undef CONV_SIZES

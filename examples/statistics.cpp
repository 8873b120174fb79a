// Draws samples of a trained model in C++, and tells the mean and the deviation of each of their numbers.
//     c++ -std=c++17 examples/statistics.cpp -o statistics $(pkg-config --cflags --libs flowcl)
//     ./statistics runs/moons 1000
#include <flowcl/flowcl.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>

// What is opened and made is given back by its own function when it goes out of scope.
template <typename Type, void (*release)(Type **)> struct Release {
    void operator()(Type *dying) const { release(&dying); }
};
using Device = std::unique_ptr<fcl_device, Release<fcl_device, fcl_device_close>>;
using Checkpoint = std::unique_ptr<fcl_checkpoint, Release<fcl_checkpoint, fcl_checkpoint_close>>;
using Array = std::unique_ptr<fcl_array, Release<fcl_array, fcl_array_destroy>>;

static void check(int status)
{
    if (status != FCL_OK)
        throw std::runtime_error(fcl_error());
}

static Array draw(const char *path, int64_t n)
{
    fcl_device *device = nullptr;
    fcl_checkpoint *checkpoint = nullptr;
    fcl_array *samples = nullptr;
    fcl_sample_options options = {};
    options.n = n;
    options.solver = "midpoint";
    options.steps = 50;
    check(fcl_device_open(nullptr, nullptr, &device));
    Device opened(device);
    check(fcl_checkpoint_open(path, &checkpoint));
    Checkpoint read(checkpoint);
    check(fcl_sample(device, checkpoint, &options, &samples, nullptr));
    return Array(samples);
}

int main(int argc, char **argv)
try {
    if (argc != 3)
        throw std::runtime_error("usage: statistics CHECKPOINT|DIR N");
    const Array samples = draw(argv[1], std::atoll(argv[2]));
    const int64_t n = samples->shape.dim[0], size = fcl_shape_size(samples->shape) / n;
    for (int64_t k = 0; k < size; k++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            const double number = samples->data[i * size + k];
            sum += number;
            squares += number * number;
        }
        const double mean = sum / double(n);
        std::cout << "x" << k + 1 << "  mean " << mean << "  deviation " << std::sqrt(squares / double(n) - mean * mean) << '\n';
    }
} catch (const std::exception &fault) {
    std::cerr << fault.what() << '\n';
    return 1;
}

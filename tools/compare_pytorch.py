#!/usr/bin/env python3
"""Runs the same work in PyTorch and in flowcl, in turn, and prints the ratios.

Needs PyTorch, numpy, for sampling torchdiffeq, and for networks for pictures torchcfm and timm, in an environment of your
own; neither flowcl nor its tests need any of them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy scipy torchdiffeq torchcfm timm
    /tmp/venv/bin/python tools/compare_pytorch.py --flowcl build/tools/flowcl

Training: conditional flow matching on the linear path with AdamW(fused=True), clipping of the gradient's norm and an
average of the weights (EMA), eager and by torch.compile; the better one counts. flowcl does the same by `flowcl
train`; its figure is the median row of metrics.jsonl. Networks for pictures are run in both of PyTorch's memory layouts as
well. The start is timed from the start of the process to the end of
its first step: for PyTorch its import and a step on random numbers; flowcl reads Fashion-MNIST too, and its step is
done when metrics.jsonl has a row. Sampling is the solving alone, without building kernels, of the same weights, which
flowcl has trained; the means of evaluations a sample are printed beside. A convolution's forms are its value and its gradients
in the images (dX) and in the weights (dW): PyTorch's in the faster of its two memory layouts, flowcl's by `flowcl bench`. Of attention it is the value, and the value with the gradients in q, k and v: PyTorch's in the
faster of its backends. Peak memory is the whole process's. Each
pair is run in turn, --repeats times; medians and the median of the pairs' ratios are printed. Numbers of different
machines or runs are not comparable.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

LADDER = [  # name, data, dimensions, width, hidden layers, batch, steps of one measurement
    ("MLP 2-64 x 3, batch 256", "moons", 2, 64, 3, 256, 600),
    ("MLP 2-512 x 4, batch 4096", "moons", 2, 512, 4, 4096, 12),
    ("MLP 784-1024 x 3, batch 256", "fashion-mnist", 784, 1024, 3, 256, 40),
]
PICTURES = [  # name, PyTorch's network, flowcl's options, batch, steps of one measurement
    ("U-Net 28x28x1, 32 (1, 2, 2), batch 64", "unet", ["--model", "unet"], 64, 6),
    ("DiT 28x28x1, width 192, 6 blocks, batch 128", "dit", ["--model", "dit"], 128, 6),
]
SAMPLING = [  # name, solver, points, options
    ("rk4, 100 steps, 100 000 points", "rk4", 100_000, ["--steps", "100"]),
    ("dopri5 1e-5, 10 000 points", "dopri5", 10_000, ["--rtol", "1e-5", "--atol", "1e-5"]),
]


CONVOLUTIONS = [  # 3 x 3: name, the row of flowcl bench, images, their size, channels, output channels
    ("conv (64, 28, 28, 32) to 32", "conv-28-32", 64, 28, 32, 32),
    ("conv (16, 32, 32, 128) to 128", "conv-32-128", 16, 32, 128, 128),
]
FORMS = ["forward", "dX", "dW"]
ATTENTIONS = [  # name, the row of flowcl bench, batch, tokens, heads, width of a head
    ("attention (128, 49, 6 x 32)", "attention-49", 128, 49, 6, 32),
    ("attention (16, 256, 4 x 64)", "attention-256", 16, 256, 4, 64),
]
WAYS = {"forward": 1, "both ways": 3.5}  # in forward passes


# --- PyTorch, in a process of its own: prints one JSON object ---

def mlp(torch, dimensions, width, depth):
    sizes = [dimensions + 1] + [width] * depth + [dimensions]
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [torch.nn.Linear(a, b)] + ([torch.nn.SELU()] if i < depth else [])
    return torch.nn.Sequential(*layers)


def unet(torch):
    """torchcfm's, with attention at 14 x 14 and in the middle; its velocity of (x, t)."""
    from torchcfm.models.unet.unet import UNetModel

    model = UNetModel(28, 1, 32, 1, 1, (2,), channel_mult=(1, 2, 2))
    return model, lambda x, t: model(t.flatten(), x)


def dit(torch):
    """SiT's, whose attention is scaled_dot_product_attention."""
    from sit import SiT

    model = SiT((1, 28, 28))
    return model, lambda x, t: model(t.flatten(), x)


NETWORKS = {"unet": unet, "dit": dit}


def measure_training(torch, model, velocity, data, batch, steps, compiled):
    weights = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in weights]
    optimiser = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.0, fused=True)

    def loss_of(x1, x0, t):
        v = velocity(t * x1 + (1 - t) * x0, t)
        return (v - (x1 - x0)).square().mean()

    loss_function = torch.compile(loss_of) if compiled else loss_of

    def step():
        x1 = data[torch.randint(len(data), (batch,))]
        loss = loss_function(x1, torch.randn_like(x1), torch.rand(batch, *[1] * (data.dim() - 1)))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 0.001)

    step()
    first = time.time()  # the parent process knows when this one was started
    for _ in range(max(3, steps // 10)):
        step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return {"seconds": (time.perf_counter() - began) / steps, "first": first}


def torch_train(dimensions, width, depth, batch, steps, compiled):
    import torch

    torch.manual_seed(0)
    model = mlp(torch, dimensions, width, depth)
    data = torch.randn(60_000, dimensions)
    return measure_training(torch, model, lambda x, t: model(torch.cat([x, t], dim=1)), data, batch, steps, compiled)


def torch_pictures(network, batch, steps, compiled, channels_last):
    import torch

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model, velocity = NETWORKS[network](torch)
    model.to(memory_format=layout)
    data = torch.randn(60_000, 1, 28, 28)
    return measure_training(torch, model, lambda x, t: velocity(x.contiguous(memory_format=layout), t), data, batch, steps,
                            compiled)


def load_average(torch, model, checkpoint):
    """The averaged weights of a flowcl checkpoint, which is a safetensors file, into the layers they belong to."""
    content = pathlib.Path(checkpoint).read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8:header])
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for i, layer in enumerate(layers):
            for name, parameter in layer.named_parameters():
                begin, end = tensors[f"ema.layers.{i}.{name}"]["data_offsets"]
                values = torch.frombuffer(bytearray(content[header + begin:header + end]), dtype=torch.float32)
                parameter.copy_(values.view_as(parameter))


def torch_sample(solver, points, checkpoint):
    import torch
    from torchdiffeq import odeint

    torch.manual_seed(0)
    model = mlp(torch, 2, 64, 3)
    load_average(torch, model, checkpoint)
    evaluations = 0

    def velocity(t, x):
        nonlocal evaluations
        evaluations += 1
        return model(torch.cat([x, t.expand(len(x), 1)], dim=1))

    x = torch.randn(points, 2)
    grid = torch.linspace(0, 1, 101) if solver == "rk4" else torch.tensor([0.0, 1.0])
    options = {} if solver == "rk4" else {"rtol": 1e-5, "atol": 1e-5}
    with torch.no_grad():
        velocity(torch.tensor(0.0), x)
        evaluations = 0
        began = time.perf_counter()
        odeint(velocity, x, grid, method=solver, **options)
    return {"seconds": time.perf_counter() - began, "evaluations": evaluations}


def torch_convolve(images, size, channels, outputs, seconds):
    """The seconds of each form in the memory layout that is faster."""
    import torch

    def measure(form, layout):
        x = torch.randn(images, channels, size, size).to(memory_format=layout)
        w = torch.randn(outputs, channels, 3, 3).to(memory_format=layout)
        u = torch.randn(images, outputs, size, size).to(memory_format=layout)
        mask = [form == "dX", form == "dW", False]
        run = (lambda: torch.conv2d(x, w, padding=1)) if form == "forward" else (
            lambda: torch.ops.aten.convolution_backward(u, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask))
        run()
        times, began = [], time.perf_counter()
        while len(times) < 5 or time.perf_counter() - began < seconds:
            before = time.perf_counter()
            run()
            times.append(time.perf_counter() - before)
        return statistics.median(times)

    with torch.no_grad():
        return {form: min(measure(form, layout) for layout in (torch.contiguous_format, torch.channels_last))
                for form in FORMS}


def torch_attend(batch, tokens, heads, width, seconds):
    """The seconds of scaled_dot_product_attention in the backend that is fastest, from (B, T, heads, d) and back."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def measure(way, backend):
        x = [torch.randn(batch, tokens, heads, width, requires_grad=way != "forward") for _ in range(3)]
        u = torch.randn(batch, tokens, heads, width)

        def run():
            q, k, v = (t.transpose(1, 2) for t in x)
            o = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            if way != "forward":
                torch.autograd.grad(o, x, u)

        with sdpa_kernel(backend):
            run()
            times, began = [], time.perf_counter()
            while len(times) < 5 or time.perf_counter() - began < seconds:
                before = time.perf_counter()
                run()
                times.append(time.perf_counter() - before)
        return statistics.median(times)

    return {way: min(measure(way, backend) for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)) for way in WAYS}


def child(arguments):
    import torch

    torch.set_num_threads(arguments.threads)
    work = json.loads(arguments.child)
    kinds = {"train": torch_train, "pictures": torch_pictures, "sample": torch_sample, "convolve": torch_convolve,
             "attend": torch_attend}
    ((kind, of),) = work.items()
    result = kinds[kind](**of)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def run_torch(arguments, work):
    command = [sys.executable, __file__, "--threads", str(arguments.threads), "--child", json.dumps(work)]
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    result = json.loads(done.stdout.splitlines()[-1])
    return result | {"start": result.get("first", began) - began}


# --- flowcl ---

def run_flowcl(command, rows=None):
    """Its peak memory, by the operating system's account of the finished process, and the seconds until the file
    `rows` had something in it."""
    began = time.perf_counter()
    start = None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while rows and start is None:
        if rows.exists() and rows.stat().st_size:
            start = time.perf_counter() - began
        elif os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
        time.sleep(0.001)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return {"start": start, "peak_mib": usage.ru_maxrss / 1024, "output": output}


def flowcl_train(arguments, data, options, batch, steps, folder, every):
    command = [arguments.flowcl, "train", data, "--out", folder, *options, "--batch", batch, "--steps", steps,
               "--metrics-every", every, "--samples-every", "off", "--checkpoint-every", "off", "--schedule", "constant"]
    file = pathlib.Path(folder, "metrics.jsonl")
    result = run_flowcl(list(map(str, command)), file)
    rates = [json.loads(line)["samples_per_second"] for line in file.read_text().splitlines()]
    return result | {"seconds": batch / statistics.median(rates[1:] or rates)}


def flowcl_mlp(arguments, row, steps, folder, every):
    _, data, _, width, depth, batch, _ = row
    options = ["--width", width, "--depth", depth, "--activation", "selu"]
    return flowcl_train(arguments, data, options, batch, steps, folder, every)


def flowcl_sample(arguments, checkpoint, solver, points, options, folder):
    command = [arguments.flowcl, "sample", checkpoint, "--n", str(points), "--solver", solver, *options, "--json",
               "--out", os.path.join(folder, "samples.npy")]
    result = run_flowcl(command)
    return result | json.loads(result["output"])


def flowcl_convolve(arguments, row):
    """The seconds of each form, the medians of flowcl bench."""
    _, model, images, size, channels, outputs = row
    result = run_flowcl([arguments.flowcl, "bench", "--model", model, "--json"])
    records = [json.loads(line) for line in result["output"].splitlines()]
    work = 2e-9 * images * size * size * 9 * channels * outputs
    return {r["what"].split()[0]: work / r["median"] for r in records if r.get("group") == "convolutions"}


def flowcl_attend(arguments, row):
    _, model, batch, tokens, heads, width = row
    result = run_flowcl([arguments.flowcl, "bench", "--model", model, "--json"])
    records = [json.loads(line) for line in result["output"].splitlines()]
    work = 4e-9 * batch * heads * tokens ** 2 * width
    found = {r["what"]: r["median"] for r in records if r.get("group") == "attention"}
    return {way: WAYS[way] * work / rate for way in WAYS for what, rate in found.items() if what.startswith(way)}


# --- the comparison ---

def median(values):
    return statistics.median(values) if values else float("nan")


def print_row(name, torch_seconds, flowcl_seconds, unit=1e3):
    ratios = [a / b for a, b in zip(torch_seconds, flowcl_seconds)]
    print(f"{name:38} {median(torch_seconds) * unit:11.3f} {median(flowcl_seconds) * unit:11.3f} {median(ratios):9.2f}",
          flush=True)


def compare_steps(arguments, name, kind, ways, train):
    """Of the ways in which PyTorch does it the fastest counts, and of the memory the least."""
    times, memory = {way: [] for way in ways}, {way: [] for way in ways}
    ours, our_memory = [], []
    for _ in range(arguments.repeats):
        for way, work in ways.items():
            result = run_torch(arguments, {kind: work})
            if "failed" in result:
                print(f"  PyTorch, {way}, does not work here: {result['failed']}", file=sys.stderr)
                continue
            times[way].append(result["seconds"])
            memory[way].append(result["peak_mib"])
        with tempfile.TemporaryDirectory() as folder:
            result = train(os.path.join(folder, "run"))
        ours.append(result["seconds"])
        our_memory.append(result["peak_mib"])
    best = min((way for way in ways if times[way]), key=lambda way: median(times[way]))
    print_row(f"train {name}, ms", times[best], ours)
    print_row("  peak memory, MiB", min((m for m in memory.values() if m), key=median), our_memory, 1)
    print("  PyTorch, ms: " + ", ".join(f"{way} {median(times[way]) * 1e3:.3f}" for way in ways if times[way]), flush=True)


def compare_training(arguments, row):
    name, _, dimensions, width, depth, batch, steps = row
    work = {"dimensions": dimensions, "width": width, "depth": depth, "batch": batch, "steps": steps}
    ways = {"eager": work | {"compiled": False}, "compile": work | {"compiled": True}}
    every = max(1, steps // 6)
    compare_steps(arguments, name, "train", ways, lambda folder: flowcl_mlp(arguments, row, steps + every, folder, every))


def compare_pictures(arguments, row):
    name, network, options, batch, steps = row
    ways = {how + layout: {"network": network, "batch": batch, "steps": steps, "compiled": how == "compile",
                           "channels_last": bool(layout)}
            for how in ("eager", "compile") for layout in ("", ", channels last")}
    compare_steps(arguments, name, "pictures", ways, lambda folder: flowcl_train(
        arguments, "fashion-mnist", options, batch, steps + 1, folder, 1))


def compare_ways(arguments, name, ways, ask, ours_of, row):
    theirs, ours = [], []
    for _ in range(arguments.repeats):
        theirs.append(run_torch(arguments, ask))
        ours.append(ours_of(arguments, row))
    for way in ways:
        print_row(f"{name}, {way}, ms", [t[way] for t in theirs], [o[way] for o in ours])


def compare_convolution(arguments, row):
    name, _, images, size, channels, outputs = row
    work = {"images": images, "size": size, "channels": channels, "outputs": outputs, "seconds": 0.3}
    compare_ways(arguments, name, FORMS, {"convolve": work}, flowcl_convolve, row)


def compare_attention(arguments, row):
    name, _, batch, tokens, heads, width = row
    work = {"batch": batch, "tokens": tokens, "heads": heads, "width": width, "seconds": 0.3}
    compare_ways(arguments, name, WAYS, {"attend": work}, flowcl_attend, row)


def compare_startup(arguments):
    name, _, dimensions, width, depth, batch, _ = row = LADDER[-1]
    work = {"dimensions": dimensions, "width": width, "depth": depth, "batch": batch, "steps": 1, "compiled": False}
    theirs, ours = [], []
    for repeat in range(1 + arguments.repeats):  # the first fills the cache of kernels
        with tempfile.TemporaryDirectory() as folder:
            result = flowcl_mlp(arguments, row, 1, os.path.join(folder, "run"), 1)
        if repeat:
            ours.append(result["start"])
            theirs.append(run_torch(arguments, {"train": work})["start"])
    print_row("start to first step, s", theirs, ours, 1)


def compare_sampling(arguments, folder):
    checkpoint = os.path.join(folder, "moons")
    run_flowcl([arguments.flowcl, "train", "moons", "--out", checkpoint, "--width", "64", "--depth", "3", "--steps", "2000",
                "--activation", "selu", "--samples-every", "off"])
    (weights,) = map(str, pathlib.Path(checkpoint).glob("*2000.safetensors"))
    for name, solver, points, options in SAMPLING:
        theirs, ours = [], []
        for _ in range(arguments.repeats):
            result = run_torch(arguments, {"sample": {"solver": solver, "points": points, "checkpoint": weights}})
            if "failed" in result:
                sys.exit(f"sampling with torchdiffeq failed: {result['failed']}")
            theirs.append(result["seconds"])
            mine = flowcl_sample(arguments, checkpoint, solver, points, options, folder)
            ours.append(mine["seconds"])
        print_row(f"{name}, s", theirs, ours, 1)
        print(f"  {'evaluations a sample':36} {result['evaluations']:11.1f} {mine['nfe']:11.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flowcl", default="build/tools/flowcl", help="the program (default %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch (default: the cores)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each (default %(default)s)")
    parts = ("all", "training", "pictures", "convolution", "attention", "start", "sampling")
    parser.add_argument("--part", choices=parts, default="all",
                        help="what to compare (default %(default)s)")
    parser.add_argument("--only", default="", help="networks for pictures whose name contains this")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    # Not imported here: Linux counts the memory of the process that starts a program into that program's peak.
    version = subprocess.check_output([sys.executable, "-c", "import torch; print(torch.__version__)"], text=True)
    print(f"PyTorch {version.strip()}, {arguments.threads} threads; medians of {arguments.repeats}\n")
    print(f"{'':38} {'PyTorch':>11} {'flowcl':>11} {'ratio':>9}")
    for row in LADDER if arguments.part in ("all", "training") else []:
        compare_training(arguments, row)
    for row in PICTURES if arguments.part in ("all", "pictures") else []:
        if arguments.only in row[0]:
            compare_pictures(arguments, row)
    for row in CONVOLUTIONS if arguments.part in ("all", "convolution") else []:
        compare_convolution(arguments, row)
    for row in ATTENTIONS if arguments.part in ("all", "attention") else []:
        compare_attention(arguments, row)
    if arguments.part in ("all", "start"):
        compare_startup(arguments)
    if arguments.part in ("all", "sampling"):
        with tempfile.TemporaryDirectory() as folder:
            compare_sampling(arguments, folder)


if __name__ == "__main__":
    main()

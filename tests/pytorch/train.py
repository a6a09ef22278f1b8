"""Trains a PyTorch twin of an example on the example's data and protocol, and writes the log that `dlrun train` writes.

    DLC_DATA=FOLDER python3 tests/pytorch/train.py NETWORK [--seed S] [--epochs N] [--lr X] [--classes K] [--log FILE]

The protocol is the example's: its initialisation, batch (the last one of an epoch may be short), optimizer, schedule and
epochs. One thread. The last line on standard output is a JSON object with the accuracy, and the AUC on a third set if
there is one, after the last epoch.
"""
import argparse
import gzip
import json
import math
import os
import time

import numpy as np
import torch

import models


def idx(name, skip):
    with gzip.open(os.path.join(os.environ["DLC_DATA"], name)) as f:
        return np.frombuffer(f.read(), np.uint8, offset=skip)


def mnist(_):
    parts = []
    for part in ("train", "t10k"):
        x, y = idx(f"{part}-images-idx3-ubyte.gz", 16), idx(f"{part}-labels-idx1-ubyte.gz", 8)
        parts.append((x.reshape(-1, 1, 28, 28), y))
    return parts


def cifar(classes):
    parts = []
    for part in ("train", "test"):
        rows = idx(f"cifar10-mini{classes}-{part}.bin.gz", 0).reshape(-1, 3073)
        parts.append((rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]))
    return parts


def pathmnist(_):
    with np.load(os.path.join(os.environ["DLC_DATA"], "pathmnist-mini.npz")) as z:
        return [(z[f"{p}_images"].transpose(0, 3, 1, 2), z[f"{p}_labels"][:, 0]) for p in ("train", "val", "test")]


# module, data (train, validation[, test]), classes, rate, rate of an epoch of `epochs`, batch, epochs
CONSTANT = lambda epoch, epochs: 1.0
COSINE = lambda epoch, epochs: (1 + math.cos(math.pi * epoch / epochs)) / 2
TASKS = {
    "mnist_cnn": (lambda k: models.MnistCnn(), mnist, 10, 1e-4, CONSTANT, 64, 12),
    "cifar_mini_mlp": (models.CifarMiniMlp, cifar, 5, 1e-3, COSINE, 64, 10),
    "cifar_mini_cnn": (models.CifarMiniCnn, cifar, 5, 1e-3, COSINE, 64, 10),
    "cifar_mini_resnet": (models.CifarMiniResnet, cifar, 5, 1e-3, COSINE, 64, 10),
    "resnet18": (models.ResNet18, pathmnist, 9, 1e-3, COSINE, 64, 20),
    "densenet121": (models.DenseNet121, pathmnist, 9, 1e-3, COSINE, 64, 20),
}


def tensors(part):
    x, y = part
    return torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)).long()


def scores(model, x, y):
    model.eval()
    with torch.no_grad():
        return torch.cat([model.logits(part) for part in x.split(250)])


def auc(p, y):
    """Macro, one class against the rest: the chance that a sample of the class is scored above one that is not."""
    each = []
    for k in range(p.shape[1]):
        mine, other = p[y == k, k], p[y != k, k]
        d = mine[:, None] - other[None, :]
        each.append(((d > 0).double() + (d == 0).double() / 2).mean().item())
    return sum(each) / len(each)


def evaluate(model, x, y):
    z = scores(model, x, y)
    return torch.nn.functional.cross_entropy(z, y).item(), (z.argmax(1) == y).double().mean().item()


def train_epoch(model, optimizer, x, y, batch):
    model.train()
    loss_sum = hits = 0
    for rows in torch.randperm(len(x)).split(batch):
        optimizer.zero_grad()
        z = model.logits(x[rows])
        loss = torch.nn.functional.cross_entropy(z, y[rows])
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(rows)
        hits += (z.argmax(1) == y[rows]).sum().item()
    return loss_sum / len(x), hits / len(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--log")
    a = parser.parse_args()
    module, read, classes, rate, schedule, batch, epochs = TASKS[a.network]
    classes, rate, epochs = a.classes or classes, a.lr or rate, a.epochs or epochs
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    train, valid, *test = map(tensors, read(classes))
    model = module(classes)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    first = evaluate(model, *(t[:batch] for t in train))[0]
    lines = ["epoch,lr,seconds,loss,accuracy,valid_loss,valid_accuracy"]
    start, best = time.process_time(), 0
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr = rate * schedule(epoch, epochs)
        row = (*train_epoch(model, optimizer, *train, batch), *evaluate(model, *valid))
        best = max(best, row[-1])
        lines.append(",".join(f"{v:.9g}" for v in (epoch + 1, lr, time.process_time() - start, *row)))
        print(lines[-1], flush=True)
    if a.log:
        with open(a.log, "w") as f:
            f.write("\n".join(lines) + "\n")
    result = {"seed": a.seed, "accuracy": row[-1], "best": best, "first_loss": first}
    if test:
        z, y = scores(model, *test[0]), test[0][1]
        result.update(accuracy=(z.argmax(1) == y).double().mean().item(), auc=auc(z.softmax(1), y))
    print(json.dumps(result))


main()

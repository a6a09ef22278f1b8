"""The networks that are measured, as a PyTorch user writes them, and the cases: which network, at which size.

tests/pytorch/models.py has the ones that tests use too. A module has forward (what the example's output returns) and
loss(x, y).
"""
import os
import sys
from dataclasses import dataclass, field
from typing import Callable

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "pytorch"))
import models as tested
from models import Classifier, classes, normalised, pixels


class Linears(Classifier):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def logits(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Deep(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        for layer in self.body:
            x = F.relu(layer(x))
        return self.head(x)

    def loss(self, x, y):
        return F.mse_loss(self(x), y)


class TwoLayer(nn.Module):
    def __init__(self, D):
        super().__init__()
        self.W1, self.W2 = nn.Parameter(torch.randn(D, 100) / D**0.5), nn.Parameter(torch.randn(100, 8) / 10)

    def forward(self, x):
        return F.relu(x @ self.W1) @ self.W2

    def loss(self, x, y):
        return ((y - self(x)) ** 2).sum(-1).mean()


class SigmoidRegression(nn.Module):
    def __init__(self, n=5, m=3):
        super().__init__()
        self.W, self.b = nn.Parameter(torch.randn(n, m) / n), nn.Parameter(torch.zeros(m))

    def forward(self, x):
        return torch.sigmoid(x @ self.W + self.b)

    def loss(self, x, y):
        return ((y - self(x)) ** 2).sum(-1).mean()


class TrendSeason(nn.Module):
    def __init__(self, window=96, hidden=512):
        super().__init__()
        mlp = lambda: nn.Sequential(nn.Linear(window, hidden), nn.ReLU(), nn.Linear(hidden, window))
        self.trend_net, self.season_net = mlp(), mlp()

    def forward(self, x):
        padded = torch.cat([x[..., :1].expand(-1, -1, 12), x, x[..., -1:].expand(-1, -1, 12)], -1)
        trend = F.avg_pool1d(padded, 25, 1)
        return self.trend_net(trend) + self.season_net(x - trend)

    def loss(self, x, y):
        return F.mse_loss(self(x), y)


class CatDog(Classifier):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32)
        self.conv2, self.conv3 = nn.Conv2d(32, 1, 1), nn.Conv2d(1, 1, 2)

    def logits(self, x):
        x = self.conv2(F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2))
        return self.conv3(F.adaptive_avg_pool2d(x, 3)).flatten(1)


class ConvPool(Classifier):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(72, 10)

    def logits(self, x):
        return self.fc(F.relu(F.max_pool2d(self.conv(x / 16), 2)).flatten(1))


class CifarTutorial(Classifier):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.head = Linears(400, 120, 84, 5)

    def logits(self, x):
        x = F.max_pool2d(F.relu(self.conv1(normalised(x, torch.float32))), 2)
        return self.head.logits(F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1))


class CifarMlp(Classifier):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.head = nn.Linear(3072, 512), nn.Linear(512, 256), nn.Linear(256, 5)

    def logits(self, x):
        x = F.dropout(F.relu(self.fc1(normalised(x, torch.float32).flatten(1))), 0.2, self.training)
        return self.head(F.relu(self.fc2(x)))


def conv_bn_relu(inputs, channels):
    return nn.Sequential(nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())


class CifarCnn(Classifier):
    def __init__(self):
        super().__init__()
        pool = nn.MaxPool2d(2)
        self.body = nn.Sequential(conv_bn_relu(3, 32), pool, conv_bn_relu(32, 64), pool, conv_bn_relu(64, 128))
        self.head = nn.Linear(128, 5)

    def logits(self, x):
        return self.head(self.body(normalised(x, torch.float32)).mean((2, 3)))


class CifarResNet(Classifier):
    def __init__(self):
        super().__init__()
        blocks = tested.Basic(16, 16), tested.Basic(16, 32, 2), tested.Basic(32, 64, 2)
        self.body, self.head = nn.Sequential(conv_bn_relu(3, 16), *blocks), nn.Linear(64, 5)

    def logits(self, x):
        return self.head(self.body(normalised(x, torch.float32)).mean((2, 3)))


def reals(*shape):
    return lambda n: torch.randn(n, *shape)


def adam(lr):
    return {"kind": "adam", "lr": lr}


def sgd(lr, momentum=0.0, weight_decay=0.0):
    return {"kind": "sgd", "lr": lr, "momentum": momentum, "weight_decay": weight_decay}


@dataclass
class Case:
    """One network at one size. `options` go to dlc; training at `batch`, inference at each of `infer`."""

    example: str
    batch: int
    module: Callable
    optimizer: dict
    x: Callable
    y: Callable
    options: dict = field(default_factory=dict)
    infer: tuple = (1,)


CASES = {
    "iris": Case("iris", 16, tested.Iris, adam(0.01), reals(4), classes(3)),
    "regression": Case("regression_mlp", 64, lambda: tested.RegressionMlp(64, 64), sgd(0.01), reals(64), reals(),
                       {"n": 64, "m": 64}),
    "sigmoid_regression": Case("sigmoid_regression", 16, SigmoidRegression, sgd(0.1), reals(5), reals(3)),
    "two_layer": Case("two_layer", 64, lambda: TwoLayer(1000), sgd(1e-5), reals(1000), reals(8), {"D": 1000}),
    "concat_dropout": Case("concat_dropout", 64, lambda: tested.ConcatDropout(32, 128, 10), sgd(0.1), reals(32),
                           classes(10), {"n": 32, "hidden": 128, "classes": 10}),
    "mixer": Case("mixer", 32, lambda: tested.Mixer(64, 64, 10), sgd(0.05, 0.9), reals(64, 64), classes(10),
                  {"L": 64, "D": 64, "K": 10}),
    "trend_season": Case("trend_season", 32, TrendSeason, sgd(0.05), reals(7, 96), reals(7, 96)),
    "deep": Case("deep", 64, lambda: Deep(100, 128), sgd(0.01), reals(128), reals(1),
                 {"depth": 100, "width": 128, "activation": "relu"}),
    "conv_pool": Case("conv_pool", 32, ConvPool, sgd(0.1, 0.9), lambda n: 16 * torch.rand(n, 1, 8, 8), classes(10)),
    "residual": Case("residual", 32, tested.Residual, sgd(0.1, 0.9, 1e-4), lambda n: 16 * torch.rand(n, 1, 8, 8),
                     classes(10)),
    "mnist_cnn": Case("mnist_cnn", 64, tested.MnistCnn, adam(1e-4), pixels(1, 28, 28), classes(10), infer=(1, 64)),
    "cifar_tutorial": Case("cifar_tutorial", 64, CifarTutorial, sgd(1e-3, 0.9), pixels(3, 32, 32), classes(5),
                           infer=(1, 64)),
    "cifar_mini_mlp": Case("cifar_mini_mlp", 64, CifarMlp, adam(1e-3), pixels(3, 32, 32), classes(5)),
    "cifar_mini_cnn": Case("cifar_mini_cnn", 64, CifarCnn, adam(1e-3), pixels(3, 32, 32), classes(5)),
    "cifar_mini_resnet": Case("cifar_mini_resnet", 64, CifarResNet, adam(1e-3), pixels(3, 32, 32), classes(5)),
    "catdog": Case("catdog", 16, CatDog, adam(1e-3), reals(3, 224, 224), classes(4)),
    "resnet18": Case("resnet18", 64, tested.ResNet18, adam(1e-3), pixels(3, 28, 28), classes(9)),
    "densenet121": Case("densenet121", 32, tested.DenseNet121, adam(1e-3), pixels(3, 32, 32), classes(9),
                        {"size": 32}),
    "resnet18_224": Case("resnet18", 8, tested.ResNet18, adam(1e-3), pixels(3, 224, 224), classes(9), {"size": 224},
                         infer=(1, 8)),
}

"""The example networks as a PyTorch user writes them: the peers of tests and benchmarks.

Parameter names and shapes are the ones that the compiled networks save, so state dicts go both ways unedited.
`NETWORKS[name]` gives (module, optimizer, batch, sample inputs, loss); `forward` returns what the example's output
returns, `logits` what its loss takes.
"""
import torch
from torch import nn
from torch.nn import functional as F


class Classifier(nn.Module):
    def forward(self, x):
        return F.softmax(self.logits(x), -1)

    def loss(self, x, label):
        return F.cross_entropy(self.logits(x), label)


def normalised(image, dtype):
    return (image.to(dtype) / 255 - 0.5) / 0.5


class Iris(Classifier):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 16), nn.Linear(16, 3)

    def logits(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class MnistCnn(Classifier):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 2), nn.Conv2d(32, 64, 3, stride=2)
        self.fc1, self.fc2 = nn.Linear(576, 1024), nn.Linear(1024, 10)

    def logits(self, x):
        x = (x.to(self.fc1.weight.dtype) / 255 - 0.1307) / 0.3081
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.6, self.training)
        return self.fc2(x)


class RegressionMlp(nn.Module):
    def __init__(self, n=5, m=7):
        super().__init__()
        for name, shape in (("W", (m, n)), ("b", (m,)), ("U", (1, m)), ("d", (1,))):
            self.register_parameter(name, nn.Parameter(torch.randn(shape) / 3))

    def forward(self, x):
        return F.relu(x @ self.W.T + self.b) @ self.U.T + self.d

    def loss(self, x, y):
        return ((y - self(x)[:, 0]) ** 2).mean()


class Mixer(Classifier):
    def __init__(self, L=6, D=5, K=4):
        super().__init__()
        shapes = {"T1": (L, L), "b1": (L,), "T2": (D, D), "b2": (D,), "T3": (L, K), "b3": (K,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape) / 3))

    def logits(self, X):
        Z = F.relu(X.transpose(1, 2) @ self.T1 + self.b1).transpose(1, 2) + X
        return F.relu(Z @ self.T2 + self.b2).mean(2) @ self.T3 + self.b3


class ConcatDropout(Classifier):
    def __init__(self, n=6, hidden=8, classes=4):
        super().__init__()
        shapes = {"W1": (n, hidden), "b1": (hidden,), "W2": (hidden + n, classes), "b2": (classes,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape) / 3))

    def logits(self, x):
        h2 = torch.cat([F.relu(x @ self.W1 + self.b1), x], -1)
        if self.training:
            h2 = h2 * (torch.rand_like(h2) < 0.5)
        return h2 @ self.W2 + self.b2


class Basic(nn.Module):
    def __init__(self, inputs, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


def he_fan_out(module):
    """torchvision's initialisation of a ResNet's convolutions."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


class Residual(Classifier):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1, self.layer2, self.fc = Basic(8, 8), Basic(8, 16, 2), nn.Linear(16, 10)

    def logits(self, x):
        x = F.relu(self.bn1(self.conv1(x / 16)))
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


class ResNet18(Classifier):
    """torchvision's resnet18: names, shapes and initialisation."""

    def __init__(self, classes=9):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(1, 5):
            blocks = nn.Sequential(Basic(widths[i - 1], widths[i], 1 if i == 1 else 2), Basic(widths[i], widths[i]))
            self.add_module(f"layer{i}", blocks)
        self.fc = nn.Linear(512, classes)
        he_fan_out(self)

    def logits(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(normalised(x, self.fc.weight.dtype)))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class ConvBn(nn.Sequential):
    def __init__(self, inputs, channels):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Head(nn.Module):
    """A linear layer that starts near zero, so that the first loss is ln(classes)."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.fc = nn.Linear(inputs, classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        return self.fc(x)


class CifarMiniMlp(Classifier):
    def __init__(self, classes=5):
        super().__init__()
        self.fc1, self.fc2, self.head = nn.Linear(3072, 512), nn.Linear(512, 256), Head(256, classes)

    def logits(self, x):
        x = F.relu(self.fc1(normalised(x, self.fc1.weight.dtype).flatten(1)))
        return self.head(F.relu(self.fc2(F.dropout(x, 0.2, self.training))))


class CifarMiniCnn(Classifier):
    def __init__(self, classes=5):
        super().__init__()
        self.stage1, self.stage2, self.stage3 = ConvBn(3, 32), ConvBn(32, 64), ConvBn(64, 128)
        self.head = Head(128, classes)

    def logits(self, x):
        x = F.max_pool2d(self.stage1(normalised(x, self.head.fc.weight.dtype)), 2)
        return self.head(self.stage3(F.max_pool2d(self.stage2(x), 2)).mean((2, 3)))


class CifarMiniResnet(Classifier):
    def __init__(self, classes=5):
        super().__init__()
        self.stem = ConvBn(3, 16)
        self.layer1, self.layer2, self.layer3 = Basic(16, 16), Basic(16, 32, 2), Basic(32, 64, 2)
        self.head = Head(64, classes)
        for layer in (self.layer1, self.layer2, self.layer3):
            he_fan_out(layer)

    def logits(self, x):
        x = self.stem(normalised(x, self.head.fc.weight.dtype))
        return self.head(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class CifarTutorial(Classifier):
    def __init__(self, classes=5):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def logits(self, x):
        x = F.max_pool2d(F.relu(self.conv1(normalised(x, self.fc1.weight.dtype))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))], 1)


class Transition(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNet121(Classifier):
    """torchvision's densenet121: names, shapes and initialisation. Its stem pools only from 32x32 up."""

    def __init__(self, classes=9, layers=(6, 12, 24, 16), growth=32):
        super().__init__()
        f, width = nn.Module(), 64
        f.conv0, f.norm0 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        for i, n in enumerate(layers, 1):
            block = nn.Sequential()
            for k in range(n):
                block.add_module(f"denselayer{k + 1}", DenseLayer(width + k * growth, growth))
            width += n * growth
            f.add_module(f"denseblock{i}", block)
            if i < len(layers):
                f.add_module(f"transition{i}", Transition(width))
                width //= 2
        f.norm5 = nn.BatchNorm2d(width)
        self.features, self.classifier = f, nn.Linear(width, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(self.classifier.bias)

    def logits(self, x):
        pools, f = x.shape[-1] >= 32, self.features
        x = F.relu(f.norm0(f.conv0(normalised(x, self.classifier.weight.dtype))))
        if pools:
            x = F.max_pool2d(x, 3, 2, 1)
        x = f.transition1(f.denseblock1(x))
        x = f.transition3(f.denseblock3(f.transition2(f.denseblock2(x))))
        return self.classifier(F.relu(f.norm5(f.denseblock4(x))).mean((2, 3)))


def pixels(*shape):
    return lambda n: torch.randint(0, 256, (n, *shape), dtype=torch.uint8)


def classes(k):
    return lambda n: torch.randint(0, k, (n,))


# module, optimizer, batch, input name and maker, target maker
NETWORKS = {
    "iris": (Iris, lambda p: torch.optim.Adam(p, 0.01), 16, "flower", lambda n: torch.rand(n, 4), classes(3)),
    "mnist_cnn": (MnistCnn, lambda p: torch.optim.Adam(p, 1e-4), 64, "image",
                  pixels(1, 28, 28), classes(10)),
    "regression_mlp": (RegressionMlp, lambda p: torch.optim.SGD(p, 0.01), 8, "x", lambda n: torch.randn(n, 5),
                       lambda n: torch.randn(n)),
    "mixer": (Mixer, lambda p: torch.optim.SGD(p, 0.05, 0.9), 16, "X", lambda n: torch.randn(n, 6, 5), classes(4)),
    "concat_dropout": (ConcatDropout, lambda p: torch.optim.SGD(p, 0.1), 16, "x", lambda n: torch.randn(n, 6),
                       classes(4)),
    "residual": (Residual, lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=1e-4), 32, "digit",
                 lambda n: 16 * torch.rand(n, 1, 8, 8), classes(10)),
    "resnet18": (ResNet18, lambda p: torch.optim.Adam(p, 1e-3), 64, "image", pixels(3, 28, 28), classes(9)),
    "densenet121": (DenseNet121, lambda p: torch.optim.Adam(p, 1e-3), 64, "image", pixels(3, 28, 28), classes(9)),
}

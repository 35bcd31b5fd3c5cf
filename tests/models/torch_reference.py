"""Small PyTorch networks, written from the layer tables, with the published names."""

import torch
import torch.nn.functional as F
from torch import nn


def randomise(net, seed=0):
    """Give every tensor, and the statistics of the norms, values that matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var") or (value.ndim == 1 and "weight" in name):
                value.copy_(1 + 0.2 * noise.tanh())
            elif value.ndim == 1:
                value.copy_(0.1 * noise)
            else:
                fan_in = value[0].numel()
                value.copy_(noise * (1.5 / fan_in) ** 0.5)
    return net.eval()


def resize(x, size, align_corners=True):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def up(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def conv(i, o, k=3, p=None, s=1, d=1, bias=True):
    return nn.Conv2d(i, o, k, s, k // 2 * d if p is None else p, d, bias=bias)


class Named(nn.Module):
    """A module made of named parts."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class PytorchUNet(nn.Module):
    def __init__(self, b, classes, bilinear):
        super().__init__()

        def double(i, m, o):
            layers = [conv(i, m, bias=False), nn.BatchNorm2d(m), nn.ReLU()]
            layers += [conv(m, o, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
            return Named(double_conv=nn.Sequential(*layers))

        def down(i, o):
            return Named(maxpool_conv=nn.Sequential(nn.MaxPool2d(2), double(i, o, o)))

        c = 8 * b if bilinear else 16 * b
        self.inc = double(3, b, b)
        self.down1, self.down2 = down(b, 2 * b), down(2 * b, 4 * b)
        self.down3, self.down4 = down(4 * b, 8 * b), down(8 * b, c)
        below = c
        for i, skip in enumerate((8 * b, 4 * b, 2 * b, b)):
            out = max(skip // 2, b) if bilinear else skip
            parts = {"conv": double(2 * skip, skip, out)}
            if not bilinear:
                parts["up"] = nn.ConvTranspose2d(below, skip, 2, 2)
            self.add_module(f"up{i + 1}", Named(**parts))
            below = out
        self.outc = Named(conv=conv(b, classes, 1))
        self.bilinear = bilinear

    def forward(self, x):
        skips = [self.inc.double_conv(x)]
        for i in range(1, 5):
            block = getattr(self, f"down{i}").maxpool_conv
            skips.append(block[1].double_conv(block[0](skips[-1])))
        x = skips.pop()
        for i in range(1, 5):
            stage, skip = getattr(self, f"up{i}"), skips.pop()
            x = up(x) if self.bilinear else stage.up(x)
            dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = stage.conv.double_conv(torch.cat([skip, x], 1))
        return self.outc.conv(x)


class SemsegUNet(nn.Module):
    """U-Net of pytorch-semseg; without norms it is the published one."""

    def __init__(self, b, classes, p=0, norms=True):
        super().__init__()

        def double(i, o, norm):
            parts = {}
            for k, inputs in ((1, i), (2, o)):
                layers = [conv(inputs, o, p=p)]
                layers += [nn.BatchNorm2d(o)] if norm and norms else []
                parts[f"conv{k}"] = nn.Sequential(*layers, nn.ReLU())
            return Named(**parts)

        sides = [3, b, 2 * b, 4 * b, 8 * b]
        for i in range(4):
            self.add_module(f"conv{i + 1}", double(sides[i], sides[i + 1], True))
        self.center = double(8 * b, 16 * b, True)
        for i in (4, 3, 2, 1):
            o = sides[i]
            part = Named(
                up=nn.ConvTranspose2d(2 * o, o, 2, 2), conv=double(2 * o, o, 0)
            )
            self.add_module(f"up_concat{i}", part)
        self.final = conv(b, classes, 1)

    def forward(self, x):
        skips = []
        for i in range(1, 5):
            block = getattr(self, f"conv{i}")
            skips.append(block.conv2(block.conv1(x)))
            x = F.max_pool2d(skips[-1], 2)
        x = self.center.conv2(self.center.conv1(x))
        for i in (4, 3, 2, 1):
            stage, skip = getattr(self, f"up_concat{i}"), skips.pop()
            x = stage.up(x)
            cut = (skip.shape[2] - x.shape[2]) // 2
            skip = skip[:, :, cut : cut + x.shape[2], cut : cut + x.shape[3]]
            x = stage.conv.conv2(stage.conv.conv1(torch.cat([skip, x], 1)))
        return self.final(x)


def cbr(i, o, k=3, s=1, d=1, bias=False, p=None):
    unit = [conv(i, o, k, p, s, d, bias), nn.BatchNorm2d(o), nn.ReLU()]
    return Named(cbr_unit=nn.Sequential(*unit))


def cb(i, o, k=3, s=1, bias=False):
    unit = [conv(i, o, k, None, s, 1, bias), nn.BatchNorm2d(o)]
    return Named(cb_unit=nn.Sequential(*unit))


class SemsegSegNet(nn.Module):
    plan = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))

    def __init__(self, b, classes, official=False):
        super().__init__()
        i = 3
        for n, (depth, m) in enumerate(self.plan):
            o = m * b
            units = {
                f"conv{j + 1}": cbr(o if j else i, o, bias=True) for j in range(depth)
            }
            self.add_module(f"down{n + 1}", Named(**units))
            i = o
        for n in (4, 3, 2, 1, 0):
            depth, m = self.plan[n]
            last = self.plan[n - 1][1] * b if n else classes
            units = {
                f"conv{j + 1}": cbr(m * b, last if j == depth - 1 else m * b, bias=True)
                for j in range(depth)
            }
            self.add_module(f"up{n + 1}", Named(**units))
        if official:
            unit = self.up1.conv2
            unit.cbr_unit = nn.Sequential(unit.cbr_unit[0])

    def forward(self, x):
        stack = []
        for n in range(1, 6):
            for unit in getattr(self, f"down{n}").children():
                x = unit.cbr_unit(x)
            size = x.shape[2:]
            x, index = F.max_pool2d(x, 2, 2, return_indices=True)
            stack.append((index, size))
        for n in (5, 4, 3, 2, 1):
            index, size = stack.pop()
            x = F.max_unpool2d(x, index, 2, 2, output_size=size)
            for unit in getattr(self, f"up{n}").children():
                x = unit.cbr_unit(x)
        return x


class FCN(nn.Module):
    plan = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))

    def __init__(self, b, classes):
        super().__init__()
        i = 3
        for n, (depth, m) in enumerate(self.plan):
            layers = []
            for j in range(depth):
                layers += [conv(i, m * b, p=100 if n == j == 0 else 1), nn.ReLU()]
                i = m * b
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            self.add_module(f"conv_block{n + 1}", nn.Sequential(*layers))
        self.classifier = nn.Sequential(
            *(conv(8 * b, 64 * b, 7, 0), nn.ReLU(), nn.Dropout2d()),
            *(conv(64 * b, 64 * b, 1), nn.ReLU(), nn.Dropout2d()),
            conv(64 * b, classes, 1),
        )
        self.score_pool4 = conv(8 * b, classes, 1)
        self.score_pool3 = conv(4 * b, classes, 1)
        for n, k, s in ((2, 4, 2), (4, 4, 2), (8, 16, 8)):
            layer = nn.ConvTranspose2d(classes, classes, k, s, bias=False)
            self.add_module(f"upscore{n}", layer)

    def forward(self, x):
        size, maps = x.shape[2:], []
        for n in range(1, 6):
            x = getattr(self, f"conv_block{n}")(x)
            maps.append(x)
        x = self.upscore2(self.classifier(x))
        h, w = x.shape[2:]
        x = self.upscore4(x + self.score_pool4(maps[3])[:, :, 5 : 5 + h, 5 : 5 + w])
        h, w = x.shape[2:]
        x = self.upscore8(x + self.score_pool3(maps[2])[:, :, 9 : 9 + h, 9 : 9 + w])
        return x[:, :, 31 : 31 + size[0], 31 : 31 + size[1]]


class TorchLeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2 = conv(1, 6, 5, 2), conv(6, 16, 5, 0)
        self.fc1, self.fc2 = nn.Linear(400, 120), nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class CaffeLeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2 = conv(1, 20, 5, 0), conv(20, 50, 5, 0)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, classes)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class TorchConv4(nn.Module):
    def __init__(self, hidden, classes, side):
        super().__init__()
        blocks = []
        for i in (1, hidden, hidden, hidden):
            layers = (conv(i, hidden), nn.BatchNorm2d(hidden), nn.ReLU())
            blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.encoder = nn.Sequential(*blocks)
        self.classifier = nn.Linear(hidden * (side // 16) ** 2, classes)

    def forward(self, x):
        return self.classifier(self.encoder(x).flatten(1))


class ResidualUnit(nn.Module):
    def __init__(self, c, i=None):
        super().__init__()
        self.conv1, self.conv2 = cbr(i or c, c), cb(c, c)
        self.shortcut = conv(i, c, 1, bias=False) if i else nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.conv2.cb_unit(self.conv1.cbr_unit(x))


class FRRU(nn.Module):
    def __init__(self, i, o, z, s):
        super().__init__()
        self.conv1, self.conv2 = cbr(i + z, o), cbr(o, o)
        self.conv_res, self.s = conv(o, z, 1), s

    def forward(self, y, z):
        y = torch.cat([y, F.max_pool2d(z, self.s, self.s)], 1)
        y = self.conv2.cbr_unit(self.conv1.cbr_unit(y))
        return y, z + F.interpolate(self.conv_res(y), scale_factor=self.s)


class SemsegFRRN(nn.Module):
    """FRRN of pytorch-semseg, or with `official` the published network."""

    def __init__(self, b, classes, official=False, model="a"):
        super().__init__()
        z = 2 * b // 3
        self.conv1 = cbr(3, b, 5, bias=not official)
        self.up_residual_units = nn.ModuleList(ResidualUnit(b) for _ in range(3))
        self.split_conv = cb(b, z, 1) if official else conv(b, z, 1, bias=False)
        enc = ((3, 2, 2), (4, 4, 4), (2, 8, 8), (2, 8, 16))
        dec = ((2, 4, 8), (2, 4, 4), (2, 2 if official else 1, 2))
        if model == "b":
            enc, dec = (*enc, (2, 8, 32)), ((2, 4, 16), *dec)
        self.plan, i = [], b
        for kind, stages in (("encoding", enc), ("decoding", dec)):
            for n, m, s in stages:
                names = [f"{kind}_frru_{n}_{m * b}_{s}_{k}" for k in range(n)]
                for k, name in enumerate(names):
                    inputs = m * b if official and k else i
                    self.add_module(name, FRRU(inputs, m * b, z, s))
                self.plan.append((kind, names))
                i = m * b
        if not official:
            self.merge_conv = conv(i + z, b, 1, bias=False)
        first = i + z if official else None
        self.down_residual_units = nn.ModuleList(
            ResidualUnit(b, first if k == 0 else None) for k in range(3)
        )
        self.classif_conv, self.official = conv(b, classes, 1), official

    def double(self, y):
        size = (2 * y.shape[2], 2 * y.shape[3])
        return resize(y, size, align_corners=not self.official)

    def forward(self, x):
        y = self.conv1.cbr_unit(x)
        for unit in self.up_residual_units:
            y = unit(y)
        z = self.split_conv.cb_unit(y) if self.official else self.split_conv(y)
        for kind, names in self.plan:
            y = F.max_pool2d(y, 2) if kind == "encoding" else self.double(y)
            entered = y
            for name in names:
                y, z = getattr(self, name)(y if self.official else entered, z)
        y = torch.cat([self.double(y), z], 1)
        y = y if self.official else self.merge_conv(y)
        for unit in self.down_residual_units:
            y = unit(y)
        return self.classif_conv(y)

"""Small PyTorch residual networks, written from the layer tables."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.torch_reference import Named, cb, cbr, conv, resize


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i, p, s=1, d=1, project=False, first=False):
        super().__init__()
        self.conv1, self.bn1 = conv(i, p, s=s, bias=False), nn.BatchNorm2d(p)
        self.conv2, self.bn2 = conv(p, p, bias=False), nn.BatchNorm2d(p)
        parts = (conv(i, p, 1, s=s, bias=False), nn.BatchNorm2d(p))
        self.downsample = nn.Sequential(*parts) if project else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, p, s=1, d=1, project=False, first=False):
        super().__init__()
        a, b = (s, 1) if first else (1, s)
        self.conv1, self.bn1 = conv(i, p, 1, s=a, bias=False), nn.BatchNorm2d(p)
        self.conv2, self.bn2 = conv(p, p, s=b, d=d, bias=False), nn.BatchNorm2d(p)
        self.conv3, self.bn3 = conv(p, 4 * p, 1, bias=False), nn.BatchNorm2d(4 * p)
        parts = (conv(i, 4 * p, 1, s=s, bias=False), nn.BatchNorm2d(4 * p))
        self.downsample = nn.Sequential(*parts) if project else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


def stages(block, depths, i, b, strides, dilations, first=False):
    out = []
    for n, (depth, s, d) in enumerate(zip(depths, strides, dilations, strict=True)):
        p, layers = b * 2**n, []
        for k in range(depth):
            s_k = s if k == 0 else 1
            project = k == 0 and (s_k != 1 or i != p * block.expansion)
            layers.append(block(i, p, s_k, d, project, first))
            i = p * block.expansion
        out.append(nn.Sequential(*layers))
    return out


class Torchvision(nn.Module):
    """ResNet-18 with torchvision's names."""

    depths, block = (2, 2, 2, 2), Basic
    strides, dilations = (1, 2, 2, 2), (1, 1, 1, 1)
    first = ceil = False

    def __init__(self, b, classes):
        super().__init__()
        self.conv1, self.bn1 = conv(3, b, 7, s=2, bias=False), nn.BatchNorm2d(b)
        built = stages(
            self.block, self.depths, b, b, self.strides, self.dilations, self.first
        )
        self.layer1, self.layer2, self.layer3, self.layer4 = built
        self.heads(b, classes)

    def heads(self, b, classes):
        self.fc = nn.Linear(8 * b * self.block.expansion, classes)

    def maps(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=self.ceil)
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)

    def forward(self, x):
        return self.fc(self.maps(x)[1].mean((2, 3)))


class AdaptSegNet(Torchvision):
    depths, block = (3, 4, 23, 3), Bottleneck
    strides, dilations = (1, 2, 1, 1), (1, 1, 2, 4)
    first = ceil = True

    def __init__(self, b, classes, branches=4):
        self.branches = branches
        super().__init__(b, classes)

    def heads(self, b, classes):
        for name, i in (("layer5", 16 * b), ("layer6", 32 * b)):
            parts = [conv(i, classes, d=d) for d in (6, 12, 18, 24)]
            self.add_module(name, Named(conv2d_list=nn.ModuleList(parts)))

    def forward(self, x):
        outs = []
        for head, map_ in zip((self.layer5, self.layer6), self.maps(x), strict=True):
            y = sum(part(map_) for part in head.conv2d_list[: self.branches])
            outs.append(resize(y, x.shape[2:]))
        return outs[1], outs[0]


class ProDA(AdaptSegNet):
    def heads(self, b, classes):
        m = 4 * b

        def branch(i, o, k, d):
            return nn.Sequential(conv(i, o, k, d=d), nn.GroupNorm(min(32, m), o))

        kinds = ((1, 1), (3, 6), (3, 12), (3, 18), (3, 24))
        squeeze = nn.Sequential(
            *(nn.Linear(5 * m, 5 * m // 16), nn.ReLU()),
            *(nn.Linear(5 * m // 16, 5 * m), nn.Sigmoid()),
        )
        self.layer5 = Named(
            conv2d_list=nn.ModuleList(branch(32 * b, m, k, d) for k, d in kinds),
            bottleneck=nn.Sequential(Named(se=squeeze), *branch(5 * m, m, 3, 1)),
            head=nn.Sequential(nn.Dropout2d(0.1), conv(m, classes, 1, bias=False)),
        )

    def forward(self, x):
        map_ = self.maps(x)[1]
        head = self.layer5
        y = torch.cat([F.relu(part(map_)) for part in head.conv2d_list], 1)
        y = y * head.bottleneck[0].se(y.mean((2, 3)))[:, :, None, None]
        y = head.bottleneck[2](head.bottleneck[1](y))
        return resize(head.head(y), x.shape[2:])


class HszhaoPSPNet(nn.Module):
    """PSPNet-50 with the names of hszhao/semseg."""

    def __init__(self, b, classes):
        super().__init__()
        stem = []
        for i, o, s in ((3, b, 2), (b, b, 1), (b, 2 * b, 1)):
            stem += [conv(i, o, s=s, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
        self.layer0 = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1))
        built = stages(Bottleneck, (3, 4, 6, 3), 2 * b, b, (1, 2, 1, 1), (1, 1, 2, 4))
        self.layer1, self.layer2, self.layer3, self.layer4 = built
        c = 32 * b

        def pool(n):
            unit = (conv(c, c // 4, 1, bias=False), nn.BatchNorm2d(c // 4), nn.ReLU())
            return nn.Sequential(nn.AdaptiveAvgPool2d(n), *unit)

        def head(i, o):
            unit = (conv(i, o, bias=False), nn.BatchNorm2d(o), nn.ReLU())
            return nn.Sequential(*unit, nn.Dropout2d(0.1), conv(o, classes, 1))

        self.ppm = Named(features=nn.ModuleList(pool(n) for n in (1, 2, 3, 6)))
        self.cls, self.aux = head(2 * c, 8 * b), head(16 * b, 4 * b)

    def forward(self, x):
        third = self.layer3(self.layer2(self.layer1(self.layer0(x))))
        y = self.layer4(third)
        parts = [resize(part(y), y.shape[2:]) for part in self.ppm.features]
        y = self.cls(torch.cat([y, *parts], 1))
        return resize(y, x.shape[2:]), resize(self.aux(third), x.shape[2:])


class SemsegBottleneck(nn.Module):
    def __init__(self, i, p, s, d, project):
        super().__init__()
        self.cbr1, self.cbr2 = cbr(i, p, 1), cbr(p, p, s=s, d=d)
        self.cb3 = cb(p, 4 * p, 1)
        self.cb4 = cb(i, 4 * p, 1, s) if project else None

    def forward(self, x):
        y = self.cb3.cb_unit(self.cbr2.cbr_unit(self.cbr1.cbr_unit(x)))
        return F.relu(y + (self.cb4.cb_unit(x) if self.cb4 else x))


class SemsegPSPNet(nn.Module):
    """PSPNet-50 with the names and the fixed pooling of pytorch-semseg."""

    def __init__(self, b, classes):
        super().__init__()
        self.convbnrelu1_1 = cbr(3, b, s=2)
        self.convbnrelu1_2 = cbr(b, b)
        self.convbnrelu1_3 = cbr(b, 2 * b)
        i, plan = 2 * b, ((3, 1, 1), (4, 2, 1), (6, 1, 2), (3, 1, 4))
        for n, (depth, s, d) in enumerate(plan):
            p, layers = b * 2**n, []
            for k in range(depth):
                layers.append(SemsegBottleneck(i, p, 1 if k else s, d, k == 0))
                i = 4 * p
            part = Named(layers=nn.Sequential(*layers))
            self.add_module(f"res_block{n + 2}", part)
        c = 32 * b
        paths = nn.ModuleList(cbr(c, c // 4, 1) for _ in range(4))
        self.pyramid_pooling = Named(path_module_list=paths)
        self.cbr_final, self.classification = cbr(2 * c, 8 * b), conv(8 * b, classes, 1)
        self.convbnrelu4_aux, self.aux_cls = cbr(16 * b, 4 * b), conv(4 * b, classes, 1)

    def forward(self, x):
        y = x
        for n in (1, 2, 3):
            y = getattr(self, f"convbnrelu1_{n}").cbr_unit(y)
        y = F.max_pool2d(y, 3, 2, 1)
        maps = []
        for n in (2, 3, 4, 5):
            y = getattr(self, f"res_block{n}").layers(y)
            maps.append(y)
        parts = [y]
        paths = self.pyramid_pooling.path_module_list
        for bins, path in zip((6, 3, 2, 1), paths, strict=True):
            k = (y.shape[2] // bins, y.shape[3] // bins)
            parts.append(resize(path.cbr_unit(F.avg_pool2d(y, k, k)), y.shape[2:]))
        y = self.classification(self.cbr_final.cbr_unit(torch.cat(parts, 1)))
        aux = self.aux_cls(self.convbnrelu4_aux.cbr_unit(maps[2]))
        return resize(y, x.shape[2:]), resize(aux, x.shape[2:])


class SimpleBiSeNet(nn.Module):
    """BiSeNet on ResNet-18 with the names, and the dead tensors, of its code."""

    def __init__(self, b, classes):
        super().__init__()

        def block(i, o, s):
            return Named(conv1=conv(i, o, s=s, bias=False), bn=nn.BatchNorm2d(o))

        def arm(c):
            return Named(conv=conv(c, c, 1), bn=nn.BatchNorm2d(c))

        self.saptial_path = Named(
            convblock1=block(3, b, 2),
            convblock2=block(b, 2 * b, 2),
            convblock3=block(2 * b, 4 * b, 2),
        )
        self.context_path = Torchvision(b, 7)
        self.context_path.features = self.context_path.layer1  # stored twice
        self.attention_refinement_module1 = arm(4 * b)
        self.attention_refinement_module2 = arm(8 * b)
        self.supervision1 = conv(4 * b, classes, 1)
        self.supervision2 = conv(8 * b, classes, 1)
        self.feature_fusion_module = Named(
            convblock=block(16 * b, classes, 1),
            conv1=conv(classes, classes, 1),
            conv2=conv(classes, classes, 1),
        )
        self.conv = conv(classes, classes, 1)

    def forward(self, x):
        y = x
        for part in self.saptial_path.children():
            y = F.relu(part.bn(part.conv1(y)))
        mean = nn.AdaptiveAvgPool2d(1)
        third, fourth = self.context_path.maps(x)
        a = third * self.attention_refinement_module1.conv(mean(third)).sigmoid()
        b = fourth * self.attention_refinement_module2.conv(mean(fourth)).sigmoid()
        b = b * mean(fourth)
        a, b = (resize(part, y.shape[2:], False) for part in (a, b))
        ffm = self.feature_fusion_module
        f = torch.cat([y, a, b], 1)
        f = F.relu(ffm.convblock.bn(ffm.convblock.conv1(f)))
        weight = ffm.conv2(F.relu(ffm.conv1(mean(f)))).sigmoid()
        out = self.conv(resize(f + f * weight, x.shape[2:], False))
        sup = (self.supervision1(a), self.supervision2(b))
        return out, *(resize(part, x.shape[2:], False) for part in sup)


class OfficialBiSeNet(nn.Module):
    """BiSeNet of its authors on ResNet-18; parts are named as they are here."""

    def __init__(self, b, classes):
        super().__init__()

        def unit(i, o, k=3, s=1):
            return Named(conv=conv(i, o, k, s=s, bias=False), norm=nn.BatchNorm2d(o))

        def arm(i, o):
            parts = {"conv": unit(i, o), "attention": unit(o, o, 1)}
            return Named(**parts, refine=unit(o, o))

        def head(i, o):
            return Named(unit=unit(i, o), classifier=conv(o, classes, 1))

        sides = ((3, b, 7, 2), (b, b, 3, 2), (b, b, 3, 2), (b, 2 * b, 1, 1))
        self.spatial = nn.ModuleList(unit(*side) for side in sides)
        self.backbone = Torchvision(b, 7)
        self.context = unit(8 * b, 2 * b, 1)
        self.refine16, self.refine8 = arm(8 * b, 2 * b), arm(4 * b, 2 * b)
        self.fusion = unit(4 * b, 4 * b, 1)
        self.attention1 = conv(4 * b, 4 * b, 1, bias=False)
        self.attention2 = conv(4 * b, 4 * b, 1, bias=False)
        self.head = head(4 * b, b)
        self.head16, self.head8 = head(2 * b, 4 * b), head(2 * b, 4 * b)

    def forward(self, x):
        def run(unit, x, relu=True):
            y = unit.norm(unit.conv(x))
            return F.relu(y) if relu else y

        def mean(x):
            return x.mean((2, 3), keepdim=True)

        def arm(part, x, context, size):
            x = run(part.conv, x)
            x = x * run(part.attention, mean(x), relu=False).sigmoid() + context
            return run(part.refine, resize(x, size))

        y = x
        for part in self.spatial:
            y = run(part, y)
        third, fourth = self.backbone.maps(x)
        context = run(self.context, mean(fourth))
        a = arm(self.refine16, fourth, context, third.shape[2:])
        b = arm(self.refine8, third, a, y.shape[2:])
        f = run(self.fusion, torch.cat([y, b], 1))
        f = f + f * self.attention2(F.relu(self.attention1(mean(f)))).sigmoid()
        heads = ((self.head, f), (self.head16, a), (self.head8, b))
        return tuple(
            resize(part.classifier(run(part.unit, map_)), x.shape[2:])
            for part, map_ in heads
        )

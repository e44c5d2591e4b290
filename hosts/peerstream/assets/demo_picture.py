"""Draws the demo clip: a tree of light on a lake at dusk, and its reflection.

Light leaves the root every two seconds and is relayed from branch to branch to every leaf, which is what
PeerStream does with a stream; the tree and its mirror image are the pair of trees that share the work.

Every motion has a whole number of cycles per loop, so that the last frame leads to the first.
Writes raw RGB frames to standard output; `demo_picture.py --still 3.5 out.png` writes one picture.
"""

import math
import multiprocessing
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SECONDS, FPS = 16, 30
WIDTH, HEIGHT, SCALE = 640, 360, 2  # drawn at twice the size, then reduced
W, H = WIDTH * SCALE, HEIGHT * SCALE
HORIZON = int(H * 0.70)
TAU = 2 * math.pi
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-ExtraLight.ttf"

COOL = np.array([0.20, 0.52, 0.95])  # the tree at rest
WARM = np.array([1.00, 0.53, 0.15])  # a pulse
LEAF = np.array([0.55, 0.95, 0.92])  # a spark that leaves a leaf

rng = np.random.default_rng(7)


def wave(t, cycles, phase=0.0):
    """A sine with `cycles` whole turns per loop; `t` runs from 0 to 1."""
    return np.sin(TAU * (cycles * t + phase))


# --- the tree -------------------------------------------------------------------------------------------

DEPTH = 7
ROOT = np.array([W * 0.695, HORIZON - 1.0])


def grow():
    """The paths from the root to every leaf: lists of points, one per level."""
    paths = []

    def branch(path, angle, length, level):
        tip = path[-1] + length * np.array([math.sin(angle), -math.cos(angle)])
        path = path + [tip]
        if level == DEPTH:
            paths.append(path)
            return
        spread = 0.36 + 0.035 * level + rng.uniform(-0.06, 0.06)
        lean = rng.uniform(-0.05, 0.05) - 0.06 * angle
        for side in (-1, 1):
            branch(path, angle + lean + side * spread, length * (0.80 + rng.uniform(-0.05, 0.06)), level + 1)

    branch([ROOT], 0.0, H * 0.148, 1)
    return paths


def smooth(path, count):
    """`count` points of a Catmull-Rom curve through the points of `path`."""
    points = np.array([2 * path[0] - path[1], *path, 2 * path[-1] - path[-2]])
    at = np.linspace(0, len(path) - 1, count)
    i = np.minimum(at.astype(int), len(path) - 2)
    u = (at - i)[:, None]
    a, b, c, d = points[i], points[i + 1], points[i + 2], points[i + 3]
    return 0.5 * (2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u**2 + (3 * b - a - 3 * c + d) * u**3)


def strands(paths):
    """Fine threads from the root to every leaf: x, y, distance from the root (0 to 1)."""
    xs, ys, ss = [], [], []
    for n, path in enumerate(paths):
        count = 900
        curve = smooth(path, count)
        s = np.linspace(0, 1, count)
        side = (n / (len(paths) - 1) - 0.5) * 2
        width = 15 * (1 - s) ** 1.7 + 26 * np.exp(-s / 0.035)  # a bundle that opens, and roots that flare
        xs.append(curve[:, 0] + side * width)
        ys.append(np.minimum(curve[:, 1], ROOT[1]))
        ss.append(s)
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(ss)


PATHS = grow()
STRANDS = strands(PATHS)
LEAVES = np.array([path[-1] for path in PATHS])
KNOTS = np.array(sorted({(*map(float, p), level / DEPTH) for path in PATHS for level, p in enumerate(path) if level}))


def sway(x, y, t):
    """The wind: the higher, the further."""
    height = np.clip((ROOT[1] - y) / (H * 0.6), 0, 1) ** 1.6
    push = 7 * wave(t, 2) + 3 * np.sin(TAU * (5 * t) + x / 90) + 2 * np.sin(TAU * 3 * t + y / 70)
    return x + height * push, y + height * 2 * np.sin(TAU * 4 * t + x / 60)


def pulse(s, t):
    """How bright the light is at distance `s`: eight pulses per loop, each with a tail."""
    head = ((t * 8) % 1.0) * 1.75 - 0.08
    total = 0.0
    for h in (head, head + 1.75, head - 1.75):
        ahead = s - h
        total = total + np.where(ahead > 0, np.exp(-((ahead / 0.022) ** 2)), np.exp(ahead / 0.16))
    return total


def splat(field, x, y, value):
    """Adds points of light, shared among the four nearest pixels."""
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    for dx, dy, share in ((0, 0, (1 - fx) * (1 - fy)), (1, 0, fx * (1 - fy)), (0, 1, (1 - fx) * fy), (1, 1, fx * fy)):
        px, py = x0 + dx, y0 + dy
        ok = (px >= 0) & (px < W) & (py >= 0) & (py < HORIZON)
        field += np.bincount((py * W + px)[ok], (value * share)[ok], minlength=W * H).reshape(H, W)


# --- glow -----------------------------------------------------------------------------------------------

SMALL = 4
_fy = np.fft.fftfreq(H // SMALL)[:, None]
_fx = np.fft.rfftfreq(W // SMALL)[None, :]


def _blur(sigma):
    return np.exp(-2 * (math.pi * sigma) ** 2 * (_fx**2 + _fy**2))


GLOW = 0.50 * _blur(1.1) + 0.9 * _blur(4) + 1.3 * _blur(13)


def bloom(field):
    """The halo around points of light."""
    small = field.reshape(H // SMALL, SMALL, W // SMALL, SMALL).mean(axis=(1, 3))
    halo = np.fft.irfft2(np.fft.rfft2(small) * GLOW, s=small.shape).clip(0)
    return np.asarray(Image.fromarray(halo.astype(np.float32)).resize((W, H), Image.BICUBIC)).clip(0)


# --- the landscape --------------------------------------------------------------------------------------

YY, XX = np.mgrid[0:H, 0:W].astype(np.float32)


def gradient():
    """The sky from night above to the last light at the horizon."""
    stops = [(0.0, (5, 9, 34)), (0.35, (14, 26, 78)), (0.62, (45, 50, 122)), (0.82, (112, 76, 142)),
             (0.94, (206, 120, 132)), (1.0, (246, 170, 128))]
    at = np.clip(np.arange(H) / HORIZON, 0, 1)
    rows = np.stack([np.interp(at, [s for s, _ in stops], [c[i] for _, c in stops]) for i in range(3)], 1) / 255
    sky = np.repeat(rows[:, None, :], W, axis=1) ** 1.25
    side = np.exp(-(((XX - W * 0.42) / (W * 0.55)) ** 2))[..., None]  # the sun went down left of the middle
    low = np.clip((YY / HORIZON - 0.55) / 0.45, 0, 1)[..., None]
    return sky * (1 - 0.45 * low * (1 - side))


MOON = (W * 0.165, H * 0.205, 25.0)


def moon():
    """A full moon with its seas and halo."""
    x, y, r = MOON
    d = np.hypot(XX - x, YY - y)
    disc = np.clip(r - d + 0.5, 0, 1)
    seas = sum(a * np.exp(-(((XX - x - dx) ** 2 + (YY - y - dy) ** 2) / s**2))
               for a, dx, dy, s in ((0.20, -7, -5, 8), (0.16, 6, -9, 6), (0.18, 3, 8, 9), (0.10, -11, 9, 5)))
    halo = 0.30 * np.exp(-d / 26) + 0.14 * np.exp(-d / 110)
    return disc * (0.98 - seas), halo


def ridge(base, parts):
    """The upper edge of a chain of hills."""
    x = np.arange(W) / W
    return HORIZON - base - sum(a * np.sin(TAU * (f * x + p)) for a, f, p in parts)


HILLS = [
    (ridge(66, [(20, 1.1, 0.62), (11, 2.7, 0.1), (5, 6.1, 0.4), (2, 13.7, 0.2)]), (0.215, 0.165, 0.36)),
    (ridge(36, [(15, 1.6, 0.15), (8, 3.9, 0.5), (4, 8.3, 0.9), (2, 17.9, 0.3)]), (0.115, 0.100, 0.255)),
    (ridge(13, [(8, 2.1, 0.75), (4, 5.3, 0.25), (2, 11.9, 0.6), (1.2, 31, 0.1)]), (0.045, 0.050, 0.150)),
]
SKY = gradient()
MOON_DISC, MOON_HALO = moon()
STARS = np.stack([rng.uniform(0, W, 230), HORIZON * rng.uniform(0, 1, 230) ** 1.5 * 0.72,
                  rng.pareto(2.2, 230).clip(0, 4) * 0.22 + 0.12, rng.integers(2, 9, 230), rng.uniform(0, 1, 230)])
SPARKS = np.stack([rng.integers(0, len(LEAVES), 210), rng.integers(3, 6, 210), rng.uniform(0, 1, 210),
                   rng.uniform(-1, 1, 210)])


def hills(image, t):
    """The hills, each with mist at its foot that drifts slowly."""
    for n, (edge, colour) in enumerate(HILLS):
        cover = np.clip(YY - edge[None, :] + 0.5, 0, 1)[..., None]
        depth = np.clip((YY - edge[None, :]) / (90 - 22 * n), 0, 1)
        drift = 0.5 + 0.25 * np.sin(TAU * (XX / W * 2 + n * 0.3 + (1 + n) * t)) + 0.25 * np.sin(TAU * (XX / W * 3 - t))
        mist = (0.42 * depth * drift * (1 - 0.25 * n))[..., None] * np.array([0.50, 0.36, 0.52])
        image = image * (1 - cover) + cover * (np.array(colour) + mist)
    return image


def stars(t):
    """Stars that twinkle, and one that falls."""
    field = np.zeros((H, W))
    x, y, bright, cycles, phase = STARS
    splat(field, x, y, bright * (0.62 + 0.38 * np.sin(TAU * (cycles * t + phase))) * 2.2)
    fall = (t - 0.43) / 0.045
    if 0 < fall < 1:
        u = np.linspace(0, 1, 160)
        head = W * 0.30 + 250 * fall, H * 0.07 + 86 * fall
        splat(field, head[0] - 78 * u, head[1] - 27 * u, 0.9 * (1 - u) ** 2 * math.sin(math.pi * fall))
    return field


def veil(t):
    """A faint curtain of northern light."""
    u = XX / W
    curtain = H * (0.22 + 0.06 * np.sin(TAU * (u * 1.3 + t)) + 0.03 * np.sin(TAU * (u * 2.9 - 2 * t)))
    rays = 0.6 + 0.4 * np.sin(TAU * (u * 9 + 0.5 * np.sin(TAU * (u * 2 + t)) + t)) * np.sin(TAU * (u * 4 - t))
    d = (YY - curtain) / H
    body = np.where(d < 0, np.exp(d / 0.13), np.exp(-((d / 0.045) ** 2)))
    return body * rays * 0.12 * np.exp(-(((u - 0.62) / 0.33) ** 2))


# --- the lights -----------------------------------------------------------------------------------------


def lights(t):
    """The tree: what glows at rest, what the pulses light, and the sparks above the leaves."""
    cool, warm, leaf = np.zeros((H, W)), np.zeros((H, W)), np.zeros((H, W))
    x, y, s = STRANDS
    x, y = sway(x, y, t)
    lit = pulse(s, t)
    thin = 0.045 + 0.11 * s**1.3
    splat(cool, x, y, thin * (0.75 + 0.35 * s) * (1 - 0.65 * np.minimum(lit, 1)))
    splat(warm, x, y, thin * 1.9 * lit)

    kx, ky = sway(KNOTS[:, 0], KNOTS[:, 1], t)
    klit = pulse(KNOTS[:, 2], t)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            share = 1.0 if dx == dy == 0 else 0.45
            splat(cool, kx + dx, ky + dy, share * 0.35 * (1 - 0.6 * np.minimum(klit, 1)))
            splat(warm, kx + dx, ky + dy, share * 0.85 * klit * (1.5 - KNOTS[:, 2]))

    n, cycles, phase, side = SPARKS
    life = (cycles * t + phase) % 1.0
    at = LEAVES[n.astype(int)]
    sx = at[:, 0] + side * (16 * life + 9 * np.sin(TAU * (life + phase)))
    sy = at[:, 1] - 76 * life
    sx, sy = sway(sx, sy, t)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        splat(leaf, sx + dx, sy + dy, 0.75 * np.sin(math.pi * life) ** 2)
    return cool, warm, leaf


def mirror(image, t):
    """The lake: the upper half upside down, broken by ripples that get longer towards us."""
    rows = np.arange(HORIZON, H)
    depth = (rows - HORIZON + 1.0)[:, None]
    x = np.arange(W)[None, :]
    far = 900 / (depth + 14)
    ripple = np.sin(TAU * (far * 0.9 + 8 * t) + x / 61) + 0.7 * np.sin(TAU * (far * 1.7 + 13 * t) - x / 43)
    ripple = ripple + 0.6 * np.sin(TAU * (far * 0.37 + 5 * t) + x / 97)
    reach = 0.6 + depth * 0.022
    sx = np.clip(x + ripple * reach * 1.3, 0, W - 1).astype(int)
    sy = np.clip(2 * HORIZON - rows[:, None] - 1 - depth * 0.88 - ripple * reach * 2.0, 0, HORIZON - 1).astype(int)
    fade = (0.70 - 0.30 * np.clip(depth / (H - HORIZON), 0, 1))[..., None]
    image[HORIZON:] = image[sy, sx] * fade * np.array([0.86, 0.92, 1.06]) + np.array([0.004, 0.010, 0.030])
    glint = np.clip(ripple - 1.45, 0, 1) * 0.10 * np.exp(-depth / 130)
    image[HORIZON:] += glint[..., None] * np.array([0.9, 0.75, 0.8])
    path = np.exp(-(((x - MOON[0]) / (9 + depth * 0.20)) ** 2)) * np.clip(ripple - 0.25, 0, None) ** 1.5
    image[HORIZON:] += (0.30 * path * np.exp(-depth / 170))[..., None] * np.array([1.0, 0.93, 0.86])
    shore = np.exp(-np.abs(np.arange(H) - HORIZON) / 2.2)[:, None, None]
    return image + shore * np.array([0.10, 0.075, 0.085])


# --- the words and the dial -----------------------------------------------------------------------------


def title():
    """The name and what it does, as a mask."""
    mask = Image.new("L", (W, H))
    draw = ImageDraw.Draw(mask)
    font, small = ImageFont.truetype(FONT, 86), ImageFont.truetype(FONT, 26)
    x = W * 0.078
    for letter in "PeerStream":
        draw.text((x, H * 0.345), letter, 255, font, stroke_width=0)
        x += draw.textlength(letter, font) + 3
    x = W * 0.083
    for letter in "every viewer passes the light on":
        draw.text((x, H * 0.495), letter, 205, small)
        x += draw.textlength(letter, small) + 2.2
    return np.asarray(mask, dtype=np.float32) / 255


TITLE = title()
DIAL = (W * 0.918, H * 0.868, 40)
DIGITS = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 34)


def dial(t):
    """A hand that goes round once per loop, a bead that goes round once per second, and the seconds."""
    x, y, r = DIAL
    mask = Image.new("L", (W, H))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((x - r, y - r, x + r, y + r), outline=72, width=3)
    turn = 360 * t
    draw.arc((x - r, y - r, x + r, y + r), -90, -90 + turn, fill=235, width=4)
    for angle, radius, size in ((TAU * t, r - 1.5, 6), (TAU * t * SECONDS, r - 15, 4)):
        px, py = x + radius * math.sin(angle), y - radius * math.cos(angle)
        draw.ellipse((px - size, py - size, px + size, py + size), fill=255)
    text = str(int(t * SECONDS + 1e-6))
    draw.text((x, y), text, 230, DIGITS, anchor="mm")
    return np.asarray(mask, dtype=np.float32) / 255


# --- a frame --------------------------------------------------------------------------------------------

GRAIN = np.random.default_rng(3).uniform(-0.5, 0.5, (HEIGHT, WIDTH, 1))


def frame(n):
    """Frame `n` of the loop as RGB bytes."""
    t = n / (SECONDS * FPS)
    image = SKY + veil(t)[..., None] * np.array([0.25, 0.95, 0.75])
    night = stars(t)
    image = image + (night + 0.8 * bloom(night))[..., None] * np.array([0.85, 0.92, 1.0])
    image = image + MOON_HALO[..., None] * (1 + 0.10 * wave(t, 3)) * np.array([0.78, 0.80, 1.0])
    image = hills(image, t)
    for field, colour, gain in zip(lights(t), (COOL, WARM, LEAF), (2.3, 3.4, 2.0)):
        image = image + (field * 0.9 + gain * bloom(field))[..., None] * colour
    image = mirror(image, t)  # the moon comes later: the lake has her path of light instead of her disc
    image = image * (1 - MOON_DISC[..., None] * 0.98) + MOON_DISC[..., None] * np.array([1.0, 0.96, 0.86])
    words = TITLE[..., None]
    image = image * (1 - 0.92 * words) + 0.92 * words * np.array([0.96, 0.97, 1.0])
    image = image + dial(t)[..., None] * np.array([0.78, 0.86, 1.0]) * 0.85
    image = 1 - np.exp(-1.25 * np.clip(image, 0, None) ** 1.02)  # film-like shoulder: highlights never clip
    image = image / (1 - math.exp(-1.25 * 1.25))
    small = image.clip(0, 1).reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean(axis=(1, 3))
    return (small * 255 + GRAIN + 0.5).clip(0, 255).astype(np.uint8).tobytes()


def main():
    """All frames to standard output, or one to a file."""
    if "--still" in sys.argv:
        at = sys.argv.index("--still")
        picture = frame(int(float(sys.argv[at + 1]) * FPS))
        Image.frombytes("RGB", (WIDTH, HEIGHT), picture).save(sys.argv[at + 2])
        return
    with multiprocessing.Pool() as pool:
        for picture in pool.imap(frame, range(SECONDS * FPS), chunksize=4):
            sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    main()

"""Plays the demo clip's music: a soft pad and plucks around a held A (440 Hz), sixteen seconds that repeat.

Every partial has a whole number of periods per loop and every decay is added round the end of the loop, so
three copies in a row are one piece of music. All four chords contain the A: it is the strongest line of the
spectrum, which lets a test prove that a player makes sound.

Writes three loops as a 48 kHz stereo WAV file to the path given.
"""

import sys
import wave

import numpy as np

RATE, SECONDS = 48_000, 16
N = RATE * SECONDS
TAU = 2 * np.pi
AT = np.arange(N) / RATE
COPIES = 3

# Semitones from the A of 440 Hz; D minor 9, F major 7, A minor 7, C 6/9.
CHORDS = [(-31, -19, -12, -7, -4, 3), (-28, -16, -12, -9, -5, 0), (-24, -17, -12, -9, -2, 0), (-33, -21, -14, -9, -5, 5)]
TUNE = [(0, 5), (1, 8), (2, 12), (3, 15), (4, 12), (5, 10), (6, 8), (7, 3),
        (8, 0), (9, 3), (10, 7), (11, 12), (12, 10), (13, 7), (14, 5), (15, 3)]


def pitch(semitones):
    """The nearest frequency with a whole number of periods per loop, in Hz."""
    return round(440 * 2 ** (semitones / 12) * SECONDS) / SECONDS


def swell(start, length, edge):
    """A window round the loop: rises before `start`, falls after `start + length`, over `edge` seconds."""
    middle, half = start + length / 2, length / 2
    away = np.abs((AT - middle + SECONDS / 2) % SECONDS - SECONDS / 2)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((half + edge / 2 - away) / edge, 0, 1))


def pad():
    """Four chords of four seconds that melt into each other, slowly moving from left to right."""
    left, right = np.zeros(N), np.zeros(N)
    for n, chord in enumerate(CHORDS):
        window = swell(4 * n, 4, 1.8)
        for k, note in enumerate(chord):
            tone = 0
            for partial, level in ((1, 1.0), (2, 0.28), (3, 0.10), (4, 0.04)):
                f = pitch(note) * partial
                for turn, bend in ((0.0, 0), (0.3, 3), (0.7, -3)):  # a slow chorus, in sixteenths of a hertz
                    tone = tone + level / 3 * np.sin(TAU * ((f + bend / SECONDS) * AT + turn + 0.13 * k))
            pan = 0.5 + 0.3 * np.sin(TAU * (AT / SECONDS * (1 + k % 3) + k / 6))
            left += window * tone * (1 - pan) * 0.030
            right += window * tone * pan * 0.030
    return left, right


def plucks():
    """A note every second, like a kalimba, each with an echo on the other side."""
    left, right = np.zeros(N), np.zeros(N)
    for second, note in TUNE:
        f = pitch(note)
        u = np.arange(int(3.2 * RATE)) / RATE
        sound = sum(a * np.sin(TAU * f * r * u) * np.exp(-u * d) for r, a, d in
                    ((1, 0.075, 2.6), (2, 0.020, 4.5), (3, 0.008, 8), (5.4, 0.006, 22)))
        sound = sound * np.clip(u / 0.004, 0, 1) * np.clip((3.2 - u) / 0.4, 0, 1)
        for delay, a, b in ((0, 0.75, 0.45), (0.5, 0.16, 0.34), (1.0, 0.13, 0.06)):
            where = (np.arange(len(u)) + int((second + delay) * RATE)) % N
            np.add.at(left, where, sound * a)
            np.add.at(right, where, sound * b)
    return left, right


def room(signal, seed):
    """A hall of two seconds, added round the end of the loop."""
    u = np.arange(int(2.6 * RATE)) / RATE
    tail = np.random.default_rng(seed).normal(0, 1, len(u)) * np.exp(-u * 2.6) * np.clip(u / 0.02, 0, 1)
    echo = np.zeros(N)
    echo[: len(u)] = tail
    spectrum = np.fft.rfft(echo)
    hz = np.fft.rfftfreq(N, 1 / RATE)
    spectrum = spectrum / (1 + (hz / 2600) ** 2) * (1 - np.exp(-((hz / 180) ** 2)))
    wet = np.fft.irfft(np.fft.rfft(signal) * spectrum, n=N)
    return wet / np.sqrt(np.mean(wet**2)) * np.sqrt(np.mean(signal**2))


def held_a():
    """The A that sounds all through, with a slow breath."""
    return 0.060 * np.sin(TAU * 440 * AT) * (1 + 0.12 * np.sin(TAU * AT * 4 / SECONDS))


def main():
    """Mixes and writes the file."""
    pads, notes = pad(), plucks()
    channels = []
    for side in (0, 1):
        dry = pads[side] + notes[side]
        channels.append(0.8 * dry + 0.38 * room(dry, 11 + side) + held_a())
    mix = np.stack(channels, 1)
    mix = np.tanh(mix / np.abs(mix).max() * 0.85) * 0.80
    samples = (np.tile(mix, (COPIES, 1)) * 32767).astype("<i2")
    with wave.open(sys.argv[1], "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()

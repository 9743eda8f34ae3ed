"""Analyses a data set. Given: do not change it, the kit runs its own copy.

    python3 analysis.py [DATA [RESULTS]]

DATA (/data) holds signal.csv, system.json, table.csv and curve.csv. What is found goes to RESULTS
(/results): results.json and plot.png.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.linalg
import scipy.optimize


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


def main():
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "/data")
    results = Path(sys.argv[2] if len(sys.argv) > 2 else "/results")
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.8), layout="constrained")

    # A signal: which two frequencies (Hz) are strongest in it?
    signal = pd.read_csv(data / "signal.csv")
    spacing = signal["time"].iloc[1] - signal["time"].iloc[0]
    strength = 2 * np.abs(np.fft.rfft(signal["value"])) / len(signal)
    strength[0] = 0
    frequency = np.fft.rfftfreq(len(signal), d=spacing)
    strongest = np.argsort(strength)[::-1][:2]
    axes[0, 0].plot(frequency, strength, color="tab:blue")
    axes[0, 0].set_title("spectrum")

    # A system of linear equations: A x = b.
    system = json.loads((data / "system.json").read_text(encoding="utf-8"))
    solution = scipy.linalg.solve(np.array(system["A"], float), np.array(system["b"], float))
    axes[0, 1].bar(range(1, len(solution) + 1), solution, color="tab:orange")
    axes[0, 1].set_title("solution")

    # A table: what is the mean of each group?
    table = pd.read_csv(data / "table.csv")
    means = table.groupby("group")["value"].mean()
    axes[1, 0].barh(means.index, means.to_numpy(), color="tab:green")
    axes[1, 0].set_title("means")

    # A curve: which a, b and c fit a exp(-b x) + c best?
    curve = pd.read_csv(data / "curve.csv")
    x, y = curve["x"].to_numpy(), curve["y"].to_numpy()
    start = (y[0] - y[-1], 1 / (x[-1] - x[0]), y[-1])
    (a, b, c), _ = scipy.optimize.curve_fit(decay, x, y, p0=start)
    axes[1, 1].plot(x, y, ".", color="tab:red")
    axes[1, 1].plot(x, decay(x, a, b, c), color="tab:purple")
    axes[1, 1].set_title("fit")

    found = {
        "frequencies": frequency[strongest].tolist(),
        "amplitudes": strength[strongest].tolist(),
        "solution": solution.tolist(),
        "means": {str(group): float(mean) for group, mean in means.items()},
        "fit": {"a": float(a), "b": float(b), "c": float(c)},
    }
    (results / "results.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    figure.savefig(results / "plot.png", dpi=100)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

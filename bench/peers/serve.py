"""The loop of a peer's process: a line with seconds comes in, the median milliseconds of a run go out."""
import statistics
import sys
import time

LEAST = 3


def median_ms(run, seconds):
    times, stop = [], time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < stop:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def serve(run):
    for _ in range(3):
        run()
    print("ready", flush=True)
    for line in sys.stdin:
        print(median_ms(run, float(line)), flush=True)

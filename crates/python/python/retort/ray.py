"""Exports on a Ray cluster.

    import retort.ray

    retort.ray.export("/data/history", "/data/train", parts=64, data_format="openai")

The source, the parts and the package lie where all nodes see them under one path. Each task makes one part in one
thread; the caller merges them, and the package is byte for byte the one that `retort.convert` makes in one process. A
task that runs twice changes nothing.
"""

from ._parts import export as _export

__all__ = ["export"]


def export(source, to, *, parts=None, work=None, name=None, force=False, **options):
    """Exports `source` to the package `to` and returns it as a `retort.Dataset`.

    `source` is a path or a list of paths. `parts` is how many parts there are (by default as many as the cluster has
    CPUs), `work` the folder for them (by default beside `to`). `options` are those of `retort.convert`. Ray is started
    on this machine if it does not run yet.
    """
    import ray

    if not ray.is_initialized():
        ray.init()
    count = parts or max(int(ray.cluster_resources().get("CPU", 1)), 1)

    def run(make, numbers):
        task = ray.remote(num_cpus=1)(make)
        return ray.get([task.remote(number) for number in numbers])

    return _export(run, source, to, count, work, name, force, options)

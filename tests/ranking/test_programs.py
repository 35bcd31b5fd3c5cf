"""How many programs a first ranking compiles: what a newcomer waits for."""

import json
import subprocess
import sys

MOST = 16

FIRST = """
import json
from jax import monitoring

names = []

def listen(event, seconds, **facts):
    if event == "/jax/core/compile/backend_compile_duration":
        names.append(facts.get("fun_name"))

monitoring.register_event_duration_secs_listener(listen)

import jax
import trfjax
from trfjax.models import create_model

def city(name, count):
    return trfjax.load_dataset(f"synthetic:{name}", size=(32, 64), count=count)

def network(seed):
    key = jax.random.key(seed)
    return create_model("unet", num_classes=17, width=2, key=key)

source, more, target = city("arden", 6), city("galden", 5), city("kestry", 4)
first, second = network(0), network(1)
counts = []
for net, data in ((first, source), (second, more)):
    names.clear()
    sources = [trfjax.Source("a", net, data)]
    ranking = trfjax.rank(sources, target, batch_size=4, bootstrap=20)
    assert all(cell.status == "ok" for cell in ranking.cells), ranking.cells
    counts.append(list(names))
print(json.dumps(counts))
"""


def test_a_first_ranking_compiles_few_programs_and_a_further_source_none():
    found = subprocess.run(
        [sys.executable, "-c", FIRST], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    first, further = json.loads(found.stdout.splitlines()[-1])
    assert 5 <= len(first) <= MOST, first
    # Another network of the architecture, and another number of source images.
    assert further == []

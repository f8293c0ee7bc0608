"""torch.compile: the same numbers, one graph per use of a network, and going on without it."""

import copy
import json

import pytest
import torch
from tiny_run import Told, tiny_config, tiny_folder
from torch._dynamo.utils import counters

from fsh.trainer.models.blocks import FirstDown
from fsh.trainer.training.compilation import Compilation
from fsh.trainer.training.loop import LoopSettings, train

#: Traces networks and runs what it traced, without making code.
EAGER = LoopSettings(compile_backend="eager")


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_compiled_block_gives_the_same_numbers_in_one_graph():
    """Values, gradients and the norms' vectors to the bit; norms stay outside of the graph."""
    block = FirstDown(3, 4)
    other, x = copy.deepcopy(block), torch.randn(2, 3, 8, 8)
    Compilation([other], "on", Told(), "eager")
    for _ in range(2):
        wanted, found = block(x), other(x)
        assert torch.equal(wanted, found)
        for module, out in ((block, wanted), (other, found)):
            module.zero_grad()
            out.square().sum().backward()
    for mine, theirs in zip(block.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)
    for mine, theirs in zip(block.buffers(), other.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]


@pytest.mark.slow
def test_compiled_networks_train_as_plain_ones_do(tmp_path):
    data, told = tiny_folder(tmp_path / "data"), Told()
    train(data, tmp_path / "plain", tiny_config(steps=3), Told())
    train(data, tmp_path / "compiled", tiny_config(steps=3, compile="on"), told, settings=EAGER)
    assert metrics(tmp_path / "plain") == metrics(tmp_path / "compiled")
    assert not any("torch.compile" in line for line in told.lines)
    # E; G; D on what was made, on what is real (no gradients), on both (gradients of its own).
    assert counters["stats"]["unique_graphs"] == 5 and not counters["graph_break"]


@pytest.mark.slow
def test_a_run_may_go_on_compiled_or_not(tmp_path):
    data = tiny_folder(tmp_path / "data")
    for steps, how in ((1, "off"), (2, "graphs")):
        config = tiny_config(steps=steps, compile=how)
        train(data, tmp_path / "parts", config, Told(), settings=EAGER)
    train(data, tmp_path / "whole", tiny_config(steps=2), Told())
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_a_compiler_that_fails_is_reported_and_not_used_again(tmp_path):
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    data, told = tiny_folder(tmp_path / "data"), Told()
    train(data, tmp_path / "plain", tiny_config(steps=2), Told())
    config, settings = tiny_config(steps=2, compile="on"), LoopSettings(compile_backend=broken)
    report = train(data, tmp_path / "compiled", config, told, settings=settings)
    said = [line for line in told.lines if "torch.compile" in line]
    assert report.finished and len(said) == 1 and "no compiler here" in said[0]
    wanted, found = metrics(tmp_path / "plain"), metrics(tmp_path / "compiled")
    assert found[0]["pixel"] == pytest.approx(wanted[0]["pixel"], rel=0.05)


def test_failing_in_the_backward_pass_leaves_no_gradients_behind():
    told = Told()
    network = torch.nn.Linear(2, 1)
    compilation = Compilation([network], "on", told)
    passes = []

    def work() -> str:
        passes.append(bool(compilation.networks))
        network.weight.grad = torch.ones_like(network.weight) + (network.weight.grad or 0)
        if compilation.networks:
            raise RuntimeError("in the backward pass")
        return "done"

    assert compilation.run(work, undo=network.zero_grad) == "done"
    assert passes == [True, False] and network.weight.grad.tolist() == [[1, 1]]
    assert "forward" not in vars(network) and "in the backward pass" in told.lines[0]


def test_errors_of_plain_networks_are_not_the_compilers():
    compilation = Compilation([torch.nn.Linear(2, 1)], "off", Told())
    with pytest.raises(ValueError, match="mine"):
        compilation.run(lambda: (_ for _ in ()).throw(ValueError("mine")), undo=lambda: None)

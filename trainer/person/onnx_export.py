"""A person as ONNX: landmark images in, pictures out, for programs without PyTorch or fsh.

Where photos are copied from, they go in too, bent by :func:`fsh.trainer.models.references.prepare`:
that step is no network, and is not exported.

``generator.onnx`` draws one person (ψ is folded in); ``embedder.onnx`` is E of the run, if it is
given. ``model.json`` says what goes in and comes out, and how faces were cropped and landmarked.
What is written is run under onnxruntime and compared with PyTorch before it takes its name.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.machine import without_reports
from fsh.schemas.places.folder_kinds import ONNX
from fsh.schemas.places.outputs import require_own_folder
from fsh.schemas.places.temporary import replacing_folder
from fsh.trainer.data.landmark_images import irises_to_draw
from fsh.trainer.models.composition import compose
from fsh.trainer.models.folded_generator import FoldedGenerator
from fsh.trainer.models.inner_mouth import mouth_maps
from fsh.trainer.models.networks import Embedder, bake
from fsh.trainer.models.references import References, at_side, given_maps
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_tensors import landmark_image_tensors

#: An output may differ by this much between PyTorch and onnxruntime; images are −1…1.
TOLERANCE = 1e-3
OPSET = 17


def export_onnx(person: Person, embedder: Embedder | None, folder: Path) -> dict[str, float]:
    """Write a person's networks and ``model.json`` to a folder; an older export is replaced.

    Args:
        embedder: of the run that the person was made from; None leaves it out.

    Returns:
        Name of each network to the largest difference of its output from PyTorch's.

    Raises:
        FshError: if the extra ``onnx`` is not installed, the folder holds anything else, or an
            output differs.
    """
    without_reports()
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise FshError(
            f"{error.name} is not installed", remedy='pip install "fsh[onnx]"'
        ) from error
    require_own_folder(folder, ONNX)
    with replacing_folder(folder, lambda: require_own_folder(folder, ONNX)) as temporary:
        shown = FaceLandmarks(person.landmarks, person.mesh)[:4]
        landmark_images = landmark_image_tensors(
            shown.points,
            person.spec.size,
            person.network.size,
            irises=irises_to_draw(shown.mesh, person.spec),
        )
        drawing, given = drawing_of(person, landmark_images)
        networks: dict[str, tuple[nn.Module, dict[str, Tensor], str]] = {
            "generator": (drawing, given, "images")
        }
        if embedder is not None:
            with torch.inference_mode():
                images = at_side(drawing(*given.values()), person.network.size)
            inputs = {"images": images.clone(), "landmarks": landmark_images}
            networks["embedder"] = (bake(embedder).cpu(), inputs, "embeddings")
        differences = {}
        for name, (network, inputs, output) in networks.items():
            path = temporary / f"{name}.onnx"
            write_onnx(network.requires_grad_(False), inputs, output, path)
            differences[name] = largest_difference(network, inputs, path)
            if not differences[name] < TOLERANCE:
                raise FshError(
                    f"{name}.onnx gives outputs that differ by {differences[name]:.2g}",
                    where=folder,
                    remedy="draw with fsh itself, and report this",
                )
        described = json.dumps(model_description(person, list(networks)), indent=1)
        (temporary / "model.json").write_text(described)
    return differences


class ComposingGenerator(nn.Module):
    """A person's generator, and its pictures put together of references."""

    def __init__(self, generator: FoldedGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, landmarks: Tensor, *references: Tensor) -> Tensor:
        """Landmark images (N, 3, H, H) and the parts of References to pictures (N, 3, S, S)."""
        given = References(*references)
        return compose(self.generator(landmarks, given), given).picture


def drawing_of(person: Person, landmark_images: Tensor) -> tuple[nn.Module, dict[str, Tensor]]:
    """What draws a person, and what it is given with these landmark images, by name."""
    folded = FoldedGenerator(person.generator, person.coefficients).cpu()
    given = {"landmarks": landmark_images}
    if person.references is None:
        return folded, given
    shown = FaceLandmarks(person.landmarks, person.mesh)[: len(landmark_images)]
    targets = person.references.targets(shown, person.spec.size)
    chosen = person.references.choose(targets, person.network.references)
    bent = person.references.prepared(targets, chosen, person.network.size)
    return ComposingGenerator(folded), given | bent._asdict()


def write_onnx(network: nn.Module, inputs: dict[str, Tensor], output: str, path: Path) -> None:
    """Write one network as ONNX; the number of images is free.

    Args:
        inputs: name to an example; the first image of each is traced.
        output: the output's name.
    """
    import onnx

    names = [*inputs, output]
    # The attention's ``.mT``, which this exporter does not know, on (N, C, positions).
    torch.onnx.register_custom_op_symbolic("aten::mT", _transpose, OPSET)
    with warnings.catch_warnings():
        # PyTorch's newer exporter wants onnxscript, 20 MB more for the same file.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(value[:1].clone() for value in inputs.values()),
            str(path),
            input_names=[*inputs],
            output_names=[output],
            dynamic_axes={name: {0: "n"} for name in names},
            opset_version=OPSET,
            # Weights that happen to be equal would be merged, in a way onnxruntime refuses.
            keep_initializers_as_inputs=True,
            dynamo=False,
        )
    model = onnx.load(str(path))
    real = [entry for entry in model.graph.input if entry.name in inputs]
    del model.graph.input[:]
    model.graph.input.extend(real)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _transpose(graph, x):
    return graph.op("Transpose", x, perm_i=[0, 2, 1])


def largest_difference(network: nn.Module, inputs: dict[str, Tensor], path: Path) -> float:
    """The largest absolute difference between onnxruntime's output and PyTorch's.

    Relative to the output's largest value where that is above 1, as an embedding's is.
    """
    without_reports()
    import onnxruntime

    with torch.inference_mode():
        wanted = network(*inputs.values()).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    return float(np.abs(found - wanted).max() / max(1.0, float(np.abs(wanted).max())))


def model_description(person: Person, networks: list[str]) -> dict:
    """What a program needs to know to use the files: the contents of ``model.json``."""
    size, large = person.network.size, person.size
    image = {"shape": ["n", 3, size, size], "type": "float32"}
    lines = {**image, "range": [0, 1], "what": "landmarks drawn as lines, black background"}
    small = {**image, "range": [-1, 1], "what": "RGB"}
    pictures = {**small, "shape": ["n", 3, large, large]}
    given: dict[str, dict] = {"landmarks": lines}
    if count := person.network.references:
        what = "as fsh.trainer.models.references.prepare makes them of the person's photos"
        photos = person.references.different(count) if person.references else count
        shapes = {
            "pictures": [photos, 3, 2 * large, 2 * large],
            "still": [3, large, large],
            "maps": [given_maps(count), size, size],
            "reads": [photos, 2, 2 * size, 2 * size],
            "trust": [count + 2, 2 * size, 2 * size],
            "motion": [photos, 2, 4],
            "stays": [photos, 1, 2 * size, 2 * size],
            "face": [1, 2 * size, 2 * size],
            "mouth_maps": [mouth_maps(), large // 4, large // 4],
            "mouth_inside": [1, large // 4, large // 4],
            "mouth_frame": [2, 3],
        }
        for name, shape in shapes.items():
            given[name] = {"shape": ["n", *shape], "type": "float32", "what": what}
    known = {
        "generator": {"inputs": given, "outputs": {"images": pictures}},
        "embedder": {
            "inputs": {"images": small, "landmarks": lines},
            "outputs": {"embeddings": {"shape": ["n", person.network.embedding]}},
        },
    }
    return {
        "person": person.name,
        "networks": {name: known[name] for name in networks},
        "opset": OPSET,
        "spec": person.spec.to_json(),
        # What else was made of the person is in the person's own card.
        "about": {key: value for key, value in person.about.items() if key != "unmarked"},
        "marks": "none: whoever draws with these files owes the marks that fsh sets itself",
    }

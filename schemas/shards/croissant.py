"""What every data set's card says in the same words: Croissant 1.1's terms, and the RAI texts.

Data only; :mod:`fsh.schemas.shards.card` makes ``dataset.json`` of it.
"""

from __future__ import annotations

from typing import Any

#: The standard's terms that a context must name.
_TERMS = (
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "equivalentProperty",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "samplingRate",
    "separator",
    "source",
    "subField",
    "transform",
)
#: JSON-LD's context: the standard's own, and ours.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in _TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "fsh": "https://pypi.org/project/fsh/#",
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
#: Croissant's data type of an Arrow type.
TYPES = {
    "string": "sc:Text",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float": "cr:Float32",
    "double": "cr:Float64",
    "bool": "sc:Boolean",
}
#: Properties of Croissant RAI 1.0, without the prefix ``rai:``: what fsh knows of every data set it
#: makes. Who makes one knows more.
RAI: dict[str, str | list[str]] = {
    "dataCollection": "Videos that the user's lists name were fetched or linked by `fsh ingest`; "
    "faces were found, tracked, cropped and landmarked by `fsh shard`. Sources, times and stated "
    "licences: sources/sources.parquet.",
    "dataCollectionType": ["Web Scraping", "Secondary Data Analysis"],
    "dataCollectionMissingData": "Videos that could not be had are rows of sources.parquet with "
    "their cause; face tracks that were rejected are rows of clips.parquet with their reason.",
    "dataCollectionRawData": "The videos in videos/, or where its links lead.",
    "dataPreprocessingProtocol": [
        "shot detection",
        "face detection and tracking",
        "one square crop window per track",
        "resampling to at most the given frame rate",
        "JPEG coding",
        "filters by size, sharpness, pose, motion and others (columns of clips.parquet)",
        "splits by identity",
    ],
    "dataAnnotationProtocol": "68 landmarks per frame, with MediaPipe a mesh of 478 points "
    "too, and scores per clip, all by machine; identities are the user's labels, else clusters of "
    "face embeddings. Nobody checked them.",
    "machineAnnotationTools": ["dlib", "face-alignment", "MediaPipe face landmarker"],
    "dataUseCases": [
        "training and evaluation of few-shot talking-head models",
        "deepfake detection",
    ],
    "dataLimitations": [
        "Not for identification of people, for evidence, or for decisions about people.",
        "Faces that the detector does not find are not in it; landmarks and clusters have errors.",
    ],
    "dataBiases": [
        "The choice of videos is the user's: who is in it, with what skin, age, language and "
        "light, is not balanced and not measured.",
        "Detector, landmarks and embeddings were trained mostly on adult, light-skinned, frontal "
        "faces and reject others more often.",
        "Filters prefer large, sharp, frontal, moving faces.",
    ],
    "dataSocialImpact": "Models trained on it can impersonate people. fsh marks what it renders "
    "and records consent; it cannot prevent misuse of the data.",
    "personalSensitiveInformation": [
        "Faces, voices if asked for, landmarks and embeddings of identifiable people: personal and "
        "in many places biometric data. No consent is implied by a video being online.",
        "Looks may disclose ethnicity, health, religion, age or gender; none of them is labeled.",
    ],
    "dataReleaseMaintenancePlan": "Kept by whoever made it; not to be published without a legal "
    "basis for everybody in it. `fsh forget` takes a person or video out of it and keeps them out.",
}

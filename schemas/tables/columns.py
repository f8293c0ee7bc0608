"""The columns of a data set's tables: one ``pa.schema`` per record, each field described.

``docs/data.md`` is generated from what stands here.
"""

from __future__ import annotations

import pyarrow as pa

_M = "without a mesh"
_s, _f, _d, _i, _b = pa.string(), pa.float32(), pa.float64(), pa.int32(), pa.bool_()


def _field(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


SOURCES = pa.schema(
    [
        _field("request_id", _s, "hash of video, start, end and bbox: one row per request"),
        _field("url", _s, "what was asked for: a URL or an absolute path"),
        _field("list", _s, "the list that asked for it, or empty"),
        _field("line", _i, "line or row of the list, from 1"),
        _field("video_id", _s, "yt-<id> or v-<hash>; empty until stored"),
        _field("start", _d, "seconds; where the wanted range starts, null: at the beginning"),
        _field("end", _d, "seconds; where the wanted range ends, null: at the end"),
        _field("identity", _s, "label from the list; empty if it has none"),
        _field(
            "bbox",
            pa.list_(_f),
            "left, top, right, bottom in pixels of a frame of "
            "bbox_width × bbox_height, from the list; null if it has none",
        ),
        _field(
            "bbox_width",
            _i,
            "width that the list's box refers to, pixels; 1 by 1: it is in shares of the frame; "
            "both null: in pixels of the video",
        ),
        _field("bbox_height", _i, "height that the list's box refers to, pixels"),
        _field(
            "labels",
            _s,
            "what else the list says (language, gender, emotion …), as a JSON object of texts; "
            "empty if nothing",
        ),
        _field("state", _s, "stored, failed or refused"),
        _field("error_class", _s, "permanent, transient or refused; empty if stored"),
        _field("error_code", _s, "short name of the cause, such as private, removed, http_404"),
        _field("error", _s, "the cause in one line; empty if stored"),
        _field("attempts", _i, "how many times it has been tried"),
        _field("uploader", _s, "channel id or uploader as the host names it; empty if unknown"),
        _field("license", _s, "licence as the host states it; 'unknown' if it states none"),
        _field("upload_date", _s, "YYYYMMDD, or empty"),
        _field("metadata", _s, "the host's other metadata, sanitised, as JSON; empty if none"),
        _field("path", _s, "file below the data folder; empty until stored"),
        _field("sha256", _s, "hex SHA-256 of the stored file"),
        _field("bytes", pa.int64(), "size of the stored file"),
        _field(
            "file_start",
            _d,
            "seconds of the video at which the stored file begins, if only the wanted range was "
            "fetched; null: it is the whole video",
        ),
        _field("duration", _d, "seconds of the stored file, as the container says"),
        _field("width", _i, "pixels, after rotation"),
        _field("height", _i, "pixels, after rotation"),
        _field("fps", _d, "average frames per second"),
        _field("rotation", _i, "degrees the player turns the picture: 0, 90, 180, 270"),
        _field("video_codec", _s, "such as h264"),
        _field("audio_codec", _s, "such as aac; empty if silent"),
        _field("pixel_format", _s, "such as yuv420p10le"),
        _field("first_seen", _s, "UTC, ISO 8601: when it was first asked for"),
        _field("last_tried", _s, "UTC, ISO 8601: when it was last tried"),
    ],
    metadata={
        "title": "sources",
        "description": "one row per requested URL or file",
        "version": "2",
    },
)

CLIPS = pa.schema(
    [
        _field("clip_id", _s, "<video_id>_<start in ms>_<track>"),
        _field("video_id", _s, "the video it was cut from"),
        _field("identity", _s, "who it is: the list's label, or a name made from a cluster"),
        _field("identity_from", _s, "label, cluster or video"),
        _field("shot", _i, "number of the shot in the video, from 0"),
        _field("track", _i, "number of the face track in the video, from 0"),
        _field("start", _d, "seconds on the video's clock: time of the first frame"),
        _field("end", _d, "seconds on the video's clock: time of the last frame"),
        _field("cover_start", _d, "seconds: the stretch of the video that the row stands for"),
        _field("cover_end", _d, "its end, seconds; the rows of a video cover all of it"),
        _field("fps", _f, "nominal frames per second of the stored frames"),
        _field("frames", _i, "frames stored"),
        _field("frames_failed", _i, "frames dropped because no landmarks were found"),
        _field("samples", _i, "WebDataset samples it was cut into"),
        _field("width", _i, "of the video, pixels, after rotation"),
        _field("height", _i, "of the video, pixels, after rotation"),
        _field("crop_left", _f, "crop window in source pixels"),
        _field("crop_top", _f, "crop window in source pixels"),
        _field("crop_side", _f, "crop window in source pixels"),
        _field("face_px", _f, "median side of the face box, source pixels"),
        _field(
            "drift",
            _f,
            "largest distance of the face's centre from the window's, "
            "as a share of the face's side",
        ),
        _field("detected", _f, "share of the sampled frames in which the detector fired"),
        _field("score", _f, "median detector score"),
        _field("sharpness", _f, "variance of the Laplacian of the crop's luma, median"),
        _field("brightness", _f, "mean luma of the face, 0 to 1, median"),
        _field("contrast", _f, "standard deviation of the face's luma, 0 to 1, median"),
        _field("yaw", _f, "head pose, degrees, median; positive: turned to the viewer's right"),
        _field("pitch", _f, "head pose, degrees, median; positive: looking down"),
        _field("roll", _f, "head pose, degrees, median; positive: clockwise"),
        _field("pose_range", _f, "degrees between the 5th and 95th percentile of yaw"),
        _field(
            "mouth_motion",
            _f,
            "standard deviation of the mouth's opening as a share of its "
            "width: near 0 the face does not talk",
        ),
        _field(
            "mouth_opening", _f, "gap between the lips over the mouth's width, median; null " + _M
        ),
        _field("eye_opening", _f, "gap between the lids over the eye's width, median; null " + _M),
        _field("eyes_shut", _f, "share of the frames in which the eyes are shut; null " + _M),
        _field("gaze_x", _f, "-1 to 1: the eyes look to the picture's right, median; null " + _M),
        _field("gaze_y", _f, "-1 to 1: the eyes look down, median; null " + _M),
        _field(
            "frame_difference",
            _f,
            "mean absolute luma difference of consecutive crops, 0 to 1: near 0 it is a photograph",
        ),
        _field(
            "identity_consistency",
            _f,
            "smallest cosine similarity between face embeddings along the "
            "track; low: two people in one track",
        ),
        _field("speech", _f, "share of the clip with a voice, 0 to 1; null without sound"),
        _field("sync_offset", _f, "seconds by which the voice comes after the mouth; see there"),
        _field(
            "sync_confidence",
            _f,
            "how far that offset stands out, in standard deviations: below 2.5 it may be anybody's "
            "voice; null without sound, below 12 frames/s or 1.5 s",
        ),
        _field("text_overlap", _f, "share of the face's box under text; null if not asked for"),
        _field("motion_print", _s, "motion of head and mouth: 6 signed bytes, 12.5 times a second"),
        _field("duplicate_of", _s, "clip that shows the same footage with a larger face, or null"),
        _field(
            "embedding", pa.list_(_f), "128 values: mean dlib face embedding; null if not computed"
        ),
        _field("spec", _s, "hash of the crop and landmark specification"),
        _field("kept", _b, "whether it passed the filters"),
        _field("reason", _s, "why it was rejected; empty if kept"),
        _field("error", _s, "details of the rejection, or empty"),
        _field("split", _s, "train, val or test; empty if rejected"),
        _field("shard", _s, "tar below the data folder; empty if rejected"),
        _field("offset", pa.int64(), "byte offset of its first member in the shard"),
        _field("bytes", pa.int64(), "bytes of its members in the shard"),
    ],
    metadata={
        "title": "clips",
        "description": "one row per face track, kept or rejected, and one per stretch without any",
        "version": "4",
    },
)

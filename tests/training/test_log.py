import json
import struct

import numpy as np
from tensorboardX.proto.event_pb2 import Event, SessionLog

from kidneyseg.training.log import Log, draw
from kidneyseg.training.validation import Picture


def row(epoch):
    return {"epoch": epoch, "step": 6 * epoch, "loss": 1 / (epoch + 1), "val_dice": {"tumour": 0.5}}


def picture(shape=(4, 6)):
    target = np.zeros(shape, np.int32)
    target[..., 1, 1] = 1
    return Picture(np.random.default_rng(0).normal(size=shape).astype(np.float32), target, np.zeros(shape, np.int32))


def test_rows_beyond_the_checkpoint_are_dropped(tmp_path):
    log = Log(tmp_path, 0)
    for epoch in range(3):
        log.epoch(row(epoch), picture())
    log.close()
    with open(tmp_path / "log.jsonl", "a", encoding="utf-8") as file:
        file.write('{"epo')  # cut short by a kill
    log = Log(tmp_path, 2)
    log.epoch(row(2), None)
    log.close()
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [row(0), row(1), row(2)]
    assert any((tmp_path / "tensorboard").iterdir())


def events(folder):
    """The records of the one event file in ``folder``; see the TFRecord format."""
    [file] = folder.iterdir()
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def test_tensorboard_gets_the_numbers_and_the_picture_of_every_epoch(tmp_path):
    log = Log(tmp_path, 1)
    log.epoch(row(1), picture())
    written = list(events(tmp_path / "tensorboard"))  # before the log is closed, too
    log.close()
    start, *values = written[1:]
    assert start.session_log.status == SessionLog.START and start.step == 1
    assert {event.summary.value[0].tag: event.step for event in values} == {
        "loss": 1,
        "val_dice/tumour": 1,
        "validation_image_truth_prediction": 1,
    }
    assert values[0].summary.value[0].simple_value == 0.5
    assert values[-1].summary.value[0].image.width == 18


def test_picture_tints_truth_and_prediction_only_where_they_are():
    drawn = draw(picture())
    assert drawn.shape == (3, 4, 18) and 0 <= drawn.min() and drawn.max() <= 1
    bare, truth, prediction = np.split(drawn, 3, axis=2)
    np.testing.assert_array_equal(bare, prediction)
    differs = (bare != truth).any(0)
    assert differs[1, 1] and differs.sum() == 1


def test_picture_of_a_volume_is_its_fullest_slice():
    volume = picture((3, 4, 6))
    volume.target[2, :3] = 1
    flat = Picture(volume.image[2], volume.target[2], volume.predicted[2])
    np.testing.assert_allclose(draw(volume), draw(flat))

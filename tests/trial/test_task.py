import json

import numpy as np
from hypothesis import given, settings, strategies as st

from hwnas.trial import Ended, TrialTask


def test_a_task_crosses_as_json():
    task = TrialTask(number=3, attempt=2, architecture={"a": 1}, seed=4, timeout_seconds=5.0, batch_index=6)
    assert TrialTask.from_json(json.loads(json.dumps(task.to_json()))) == task


@settings(deadline=None)
@given(
    st.dictionaries(st.text(min_size=1), st.floats(allow_nan=False), min_size=1),
    st.none() | st.lists(st.floats(width=32, allow_nan=False)),
    st.text(),
)
def test_what_came_of_an_attempt_crosses_as_json(metrics, scores, error):
    array = None if scores is None else np.array(scores, dtype=np.float32)
    ended = Ended(number=3, attempt=2, status="complete", metrics=metrics, scores=array, error=error, seconds=0.5)
    again = Ended.from_json(json.loads(json.dumps(ended.to_json())))
    assert (again.number, again.attempt, again.status, again.error, again.seconds) == (3, 2, "complete", error, 0.5)
    assert again.metrics == metrics
    assert (again.scores is None) == (array is None)
    if array is not None:
        np.testing.assert_array_equal(again.scores, array)
        assert again.scores.dtype == np.float32
        assert again.scores.flags.writeable

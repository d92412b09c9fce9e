"""The view of traffic load: what was observed of each segment in each quarter of an hour.

`consumers/traffic_view` writes it to the compacted topic `view.traffic-load`; all of this reads.
"""

from bus.views.traffic.geometry import Segment, load_segments
from bus.views.traffic.picture import Line, Picture, Row, draw
from bus.views.traffic.reading import ViewReader
from bus.views.traffic.window import TOPIC, UNLISTED_CODE, Window, read_window

__all__ = [
    "TOPIC",
    "UNLISTED_CODE",
    "Line",
    "Picture",
    "Row",
    "Segment",
    "ViewReader",
    "Window",
    "draw",
    "load_segments",
    "read_window",
]

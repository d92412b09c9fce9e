"""The log of one process."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a line, for a log that a machine collects.

    JSON escapes control characters, so no logged value can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: int = logging.INFO) -> None:
    """Log to standard error: plain sentences on a terminal, JSON lines elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    # aiokafka logs each failed attempt with a traceback's worth of words; what comes of it in the
    # end, and why, is said by bus.kafka.
    handler.addFilter(lambda record: not record.name.startswith("aiokafka"))
    if not sys.stderr.isatty():
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bus").setLevel(level)
    logging.getLogger("stadtbus").setLevel(level)  # what is noted of security

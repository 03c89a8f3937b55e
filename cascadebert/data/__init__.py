"""The data room: tasks, and the ways in which their data comes in."""

from cascadebert.data.load import load_task, source_files
from cascadebert.data.task import Task

__all__ = ["Task", "load_task", "source_files"]

"""Tables in files: from a path to a pandas DataFrame."""

from optlab.datasets.files.frame_file import FrameFile as FrameFile
from optlab.datasets.files.frame_file import read_frame as read_frame

"""The SQL functions that a statement in the sandbox may call."""

from __future__ import annotations

# Functions that only compute. Whatever else a build of SQLite offers (loading code, files, tokenizers,
# debugging) is refused because it is not here.
_NAMES = """
abs avg ceil ceiling changes char coalesce concat concat_ws count cume_dist current_date current_time
current_timestamp date datetime dense_rank exp first_value floor format glob group_concat hex if ifnull iif
instr julianday lag last_insert_rowid last_value lead length like likelihood likely ln log log10 log2 lower
ltrim max median min mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont
percentile_disc pi pow power printf quote radians degrees random randomblob rank replace round row_number
rtrim sign soundex sqlite_version sqrt strftime string_agg substr substring sum time timediff total
total_changes trim trunc typeof unhex unicode unistr unixepoch unlikely upper zeroblob acos acosh asin asinh
atan atan2 atanh cos cosh sin sinh tan tanh match json json_array json_array_insert json_array_length
json_error_position json_extract json_group_array json_group_object json_insert json_object json_patch
json_pretty json_quote json_remove json_replace json_set json_type json_valid jsonb jsonb_array
jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove
jsonb_replace jsonb_set -> ->> bm25
"""

ALLOWED = frozenset(_NAMES.split())

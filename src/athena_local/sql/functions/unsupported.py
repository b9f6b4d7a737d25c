"""Functions that Athena has and this server has not: each is refused by name with NOT_SUPPORTED, never taken for unknown.

With `FUNCTIONS` this is the whole list that a page of documentation is made from.
"""

from __future__ import annotations

_SKETCHES = (
    "approx_set empty_approx_set merge qdigest_agg value_at_quantile values_at_quantiles tdigest_agg quantile_at_value"
    " make_set_digest merge_set_digest hash_counts intersection_cardinality jaccard_index approx_most_frequent"
)
_GEOSPATIAL = (
    "bing_tile bing_tile_at bing_tile_coordinates bing_tile_polygon bing_tile_quadkey bing_tile_zoom_level"
    " bing_tiles_around convex_hull_agg geometry_from_hadoop_shape geometry_invalid_reason geometry_nearest_points"
    " geometry_to_bing_tiles geometry_union geometry_union_agg great_circle_distance line_interpolate_point"
    " line_interpolate_points line_locate_point simplify_geometry spatial_partitioning spatial_partitions st_area"
    " st_asbinary st_astext st_boundary st_buffer st_centroid st_contains st_convexhull st_coorddim st_crosses"
    " st_difference st_dimension st_disjoint st_distance st_endpoint st_envelope st_envelopeaspts st_equals"
    " st_exteriorring st_geometries st_geometryfromtext st_geometryn st_geometrytype st_geomfrombinary st_interiorringn"
    " st_interiorrings st_intersection st_intersects st_isclosed st_isempty st_isring st_issimple st_isvalid st_length"
    " st_linefromtext st_linestring st_multipoint st_numgeometries st_numinteriorring st_numpoints st_overlaps st_point"
    " st_pointn st_points st_polygon st_relate st_startpoint st_symdifference st_touches st_union st_within st_x st_xmax"
    " st_xmin st_y st_ymax st_ymin to_geometry to_spherical_geography from_encoded_polyline to_encoded_polyline"
    " to_geojson_geometry from_geojson_geometry"
)
_LEARNING = (
    "classify features learn_classifier learn_libsvm_classifier learn_libsvm_regressor learn_regressor"
    " regress"
)
_SQL_JSON = "json_array json_exists json_object json_query json_value"
_OTHERS = (
    "bar reduce_agg char2hexint color combinations from_iso8601_timestamp_nanos from_unixtime_nanos index json_table"
    " render rgb spooky_hash_v2_32 spooky_hash_v2_64 to_char to_date to_timestamp word_stem objectid"
    " objectid_timestamp timestamp_objectid"
)

UNSUPPORTED: dict[str, str] = {
    name: reason
    for reason, names in (
        ("sketch", _SKETCHES),
        ("geospatial", _GEOSPATIAL),
        ("machine learning", _LEARNING),
        ("SQL/JSON", _SQL_JSON),
        ("not yet", _OTHERS),
    )
    for name in names.split()
}

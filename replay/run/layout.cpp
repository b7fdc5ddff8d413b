// The table of tensors as JSON text: {"columns": {"weights_in": [["name", "F32", [2, 3]], ...], ...},
// "optimizers": ["AdamW"]}; the shape is null for a list of tensors or a varying shape.
#include "replay/run/error.h"
#include "replay/run/record.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

using nlohmann::json;

const std::string origin = "the table of tensors";
constexpr std::size_t max_columns = std::size_t{1} << 20;  // of one lane

json column_json(const Column& column) {
  json shape = nullptr;
  if (column.shape) shape = *column.shape;
  return json::array({column.name, std::string(name(column.dtype)), std::move(shape)});
}

Shape shape_of(const json& value) {
  if (!value.is_array() || value.size() > max_rank)
    throw BrokenInput(origin + ": a shape is not a list of 0 to 16 numbers");
  Shape shape;
  for (const json& size : value) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > std::uint64_t{1} << 62) {
      throw BrokenInput(origin + ": a size in a shape is not a number from 0 to 2^62");
    }
    shape.push_back(size.get<std::int64_t>());
  }
  return shape;
}

Column column_of(const json& value) {
  if (!value.is_array() || value.size() != 3 || !value[0].is_string() || !value[1].is_string()) {
    throw BrokenInput(origin + ": a column is not [name, dtype, shape]");
  }
  Column column;
  column.name = value[0].get<std::string>();
  const auto dtype = dtype_from_name(value[1].get<std::string>());
  if (!dtype) throw BrokenInput(origin + ": " + column.name + " has the unknown dtype " + value[1].get<std::string>());
  column.dtype = *dtype;
  if (!value[2].is_null()) column.shape = shape_of(value[2]);
  return column;
}

std::vector<Column> columns_of(Lane lane, const json& list) {
  if (!list.is_array() || list.size() > max_columns) throw BrokenInput(origin + ": a lane is not a list of columns");
  if (is_list(lane) && !list.empty()) throw BrokenInput(origin + ": a list lane has columns");
  std::vector<Column> columns;
  columns.reserve(list.size());
  for (const json& value : list) columns.push_back(column_of(value));
  return columns;
}

}  // namespace

std::string encode(const Layout& layout) {
  json lanes = json::object();
  for (const Lane lane : all_lanes) {
    json& list = lanes[std::string(name(lane))] = json::array();
    for (const Column& column : layout.of(lane)) list.push_back(column_json(column));
  }
  return json_dump(json{{"columns", std::move(lanes)}, {"optimizers", layout.optimizers}});
}

Layout decode_layout(std::string_view text) {
  const json value = parse_json(text, origin);
  const json& lanes = json_object(value, "columns", origin);
  Layout layout;
  for (const Lane lane : all_lanes) {
    layout.of(lane) = columns_of(lane, json_field(lanes, std::string(name(lane)).c_str(), origin));
  }
  for (const json& optimizer : json_array(value, "optimizers", origin)) {
    if (!optimizer.is_string()) throw BrokenInput(origin + ": an optimizer's class is not a string");
    layout.optimizers.push_back(optimizer.get<std::string>());
  }
  return layout;
}

}  // namespace samestep

#include "verdicts/spec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <memory>

#include "verdicts/suite.h"

namespace bitfoundry::verdicts {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Fill(const YAML::Node& map, Message& message);

// ParseSuite has seen to it that it is one.
template <typename Number>
Number NumberOf(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Sets a field, or adds to one that is repeated.
void Put(const YAML::Node& value, const FieldDescriptor* field, Message& message) {
  const auto* reflection = message.GetReflection();
  const bool adds = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Fill(value, adds ? *reflection->AddMessage(&message, field)
                              : *reflection->MutableMessage(&message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(&message, field, NumberOf<double>(value.Scalar()));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(&message, field, NumberOf<int32_t>(value.Scalar()));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(&message, field, value.Scalar() == "true");
    default:
      return adds ? reflection->AddString(&message, field, value.Scalar())
                  : reflection->SetString(&message, field, value.Scalar());
  }
}

void Fill(const YAML::Node& map, Message& message) {
  for (const auto& entry : map) {
    const auto* field = message.GetDescriptor()->FindFieldByName(entry.first.Scalar());
    BF_CHECK(field != nullptr);  // the parser knows no other key
    if (field->is_map()) {
      for (const auto& item : entry.second) {
        Message& added = *message.GetReflection()->AddMessage(&message, field);
        Put(item.first, field->message_type()->map_key(), added);
        Put(item.second, field->message_type()->map_value(), added);
      }
    } else if (entry.second.IsSequence()) {
      for (const auto& item : entry.second) Put(item, field, message);
    } else {
      Put(entry.second, field, message);
    }
  }
}

}  // namespace

Result<v1::SuiteSpec> ReadSpec(const std::string& yaml, const std::string& file) {
  BF_TRY(ParseSuite(yaml, file));
  v1::SuiteSpec spec;
  Fill(YAML::Load(yaml), spec);
  return spec;
}

// MessageToJsonString, but for the order of a map, which it leaves to chance.
std::string SuiteText(const v1::SuiteSpec& spec) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    BF_CHECK(spec.SerializeToCodedStream(&coded));
  }
  const std::string domain = "type.googleapis.com";
  const std::unique_ptr<google::protobuf::util::TypeResolver> types(
      google::protobuf::util::NewTypeResolverForDescriptorPool(
          domain, spec.GetDescriptor()->file()->pool()));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  BF_CHECK(google::protobuf::util::BinaryToJsonString(
               types.get(), domain + "/" + spec.GetDescriptor()->full_name(), bytes, &json, options)
               .ok());
  return json;
}

}  // namespace bitfoundry::verdicts

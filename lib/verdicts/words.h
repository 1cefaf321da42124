// A test's result in words, the same in the terminal, in XML, in Markdown and in the report. Plain
// text: whoever prints it escapes it.
#pragma once

#include <string>

#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::verdicts {

std::string Word(v1::Outcome outcome);             // "pass"
std::string Percent(double rate);                  // "83.9 %"
std::string Claim(const v1::TestResult& test);     // "recall >= 0.9 darken(0.25,3)"
std::string Counted(const v1::TestResult& test);   // "54/60", "12 lost, 2 gained of 750"
std::string Measured(const v1::TestResult& test);  // "90.0 %", "37088"; "-" if nothing was counted
std::string Finding(const v1::TestResult& test);   // what was shown; why nothing was
std::string Model(const v1::Verdict& verdict);     // "3f9a2b1c4d5e", "centernet v7"
std::string Origin(const v1::Verdict& verdict);    // of a remote model: whose answers; else ""
std::string Roles(const v1::BoardModel& model);    // "candidate", "shipped, baseline"
std::string Summary(const v1::Verdict& verdict);   // "5 pass, 1 fail"

}  // namespace bitfoundry::verdicts

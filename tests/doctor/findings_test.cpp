// Every finding fires where it should, names what to type, and stays quiet where nothing is wrong.
#include "replay/doctor/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace samestep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Level = Finding::Level;

// A machine and a Python with nothing wrong about them.
Situation healthy() {
  Situation situation;
  situation.machine.physical_cores = 8;
  situation.machine.nvidia = true;
  situation.python = PythonSituation{"/venv/bin/python", "3.11.2", "2.14.1+cu130", "2.14.1", {}, {}, 0};
  return situation;
}

Situation with(const std::string& name, const std::string& value) {
  Situation situation = healthy();
  situation.environment[name] = value;
  return situation;
}

std::vector<std::string> checks(const Situation& situation) {
  std::vector<std::string> words;
  for (const Finding& finding : findings(situation)) {
    EXPECT_FALSE(finding.text.empty());
    EXPECT_FALSE(finding.fix.empty());
    words.push_back((finding.level == Level::problem ? "problem " : "note ") + finding.check);
  }
  return words;
}

TEST(Doctor, FindsNothingWhereNothingIsWrong) {
  EXPECT_THAT(checks(healthy()), IsEmpty());
  EXPECT_FALSE(has_problem(findings(healthy())));
  Situation no_python = healthy();
  no_python.python.reset();
  EXPECT_THAT(checks(no_python), IsEmpty());
}

TEST(Doctor, FindsVariablesThatChangeEveryRun) {
  EXPECT_THAT(checks(with("PYTHONHASHSEED", "random")), ElementsAre("problem hash_seed"));
  EXPECT_THAT(checks(with("PYTHONHASHSEED", "7")), IsEmpty());
  EXPECT_THAT(checks(with("OMP_DYNAMIC", "TRUE")), ElementsAre("problem dynamic_threads"));
  EXPECT_THAT(checks(with("OMP_DYNAMIC", "false")), IsEmpty());
}

TEST(Doctor, FindsVariablesThatOtherMachinesWillNotHave) {
  EXPECT_THAT(checks(with("OMP_NUM_THREADS", "64")), ElementsAre("note thread_count"));
  EXPECT_THAT(checks(with("OMP_NUM_THREADS", "8")), IsEmpty());
  EXPECT_THAT(checks(with("OMP_NUM_THREADS", "4,2")), IsEmpty());
  for (const char* name : {"ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"})
    EXPECT_THAT(checks(with(name, "avx2")), ElementsAre("note processor_override")) << name;
  EXPECT_THAT(checks(with("LD_PRELOAD", "/tmp/x.so")), ElementsAre("note preload"));
}

TEST(Doctor, FindsCudaVariablesWhereThereIsAGpu) {
  EXPECT_THAT(checks(with("CUBLAS_WORKSPACE_CONFIG", ":0:0")), ElementsAre("problem cublas_workspace"));
  EXPECT_THAT(checks(with("CUBLAS_WORKSPACE_CONFIG", ":16:8")), IsEmpty());
  EXPECT_THAT(checks(with("NVIDIA_TF32_OVERRIDE", "1")), ElementsAre("note tf32"));
  EXPECT_THAT(checks(with("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")), ElementsAre("note tf32"));
  Situation no_gpu = with("CUBLAS_WORKSPACE_CONFIG", ":0:0");
  no_gpu.machine.nvidia = false;
  EXPECT_THAT(checks(no_gpu), IsEmpty());
}

TEST(Doctor, FindsWhatIsWrongWithTheMachine) {
  Situation situation = healthy();
  situation.memory_errors_corrected = 3;
  EXPECT_THAT(checks(situation), ElementsAre("note memory"));
  situation.memory_errors_uncorrected = 1;
  EXPECT_THAT(checks(situation), ElementsAre("problem memory"));
  situation = healthy();
  situation.views_refused = "no user namespace can be made";
  EXPECT_THAT(checks(situation), ElementsAre("note views"));
  EXPECT_THAT(findings(situation)[0].text, HasSubstr("no user namespace can be made"));
  situation = healthy();
  situation.runs_on_nfs = true;
  EXPECT_THAT(checks(situation), ElementsAre("note nfs"));
  situation.free_bytes = 1 << 20;
  EXPECT_THAT(checks(situation), ElementsAre("problem disk", "note nfs"));
}

TEST(Doctor, FindsAPackageThatDoesNotFitItsTorch) {
  Situation situation = healthy();
  situation.python->built_for = "2.13.0";
  EXPECT_THAT(checks(situation), ElementsAre("problem package"));
  EXPECT_THAT(findings(situation)[0].fix, HasSubstr("/venv/bin/python -m pip install"));
  situation.python->built_for = "";
  EXPECT_THAT(checks(situation), ElementsAre("problem package"));
  situation.python->torch = "";
  EXPECT_THAT(checks(situation), ElementsAre("note torch"));
}

TEST(Doctor, FindsEditedPackagesAndForeignStartFiles) {
  Situation situation = healthy();
  situation.python->changed_packages = {"torch 2.14.1: torch/optim/adam.py has other bytes than the package installed"};
  situation.python->start_files = {"/venv/sitecustomize.py"};
  situation.python->unchecked_files = 2;
  EXPECT_THAT(checks(situation), ElementsAre("problem changed_package", "note unchecked", "note start_file"));
  EXPECT_THAT(findings(situation)[0].fix, HasSubstr("--force-reinstall torch=="));
  EXPECT_TRUE(has_problem(findings(situation)));
}

TEST(Doctor, ShowsWhatToDo) {
  std::ostringstream out;
  out << findings(with("PYTHONHASHSEED", "random")).at(0);
  EXPECT_THAT(out.str(), HasSubstr("problem    PYTHONHASHSEED=random"));
  EXPECT_THAT(out.str(), HasSubstr("fix: unset PYTHONHASHSEED"));
  EXPECT_EQ(to_json(findings(with("PYTHONHASHSEED", "random")).at(0))["check"], "hash_seed");
}

}  // namespace
}  // namespace samestep

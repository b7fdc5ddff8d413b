"""Reads a JUnit report as strictly as build servers' readers together do, and prints it: check_junit.py FILE.

A line a case: RESULT NAME | MESSAGE. Exits 1 with a sentence for what Jenkins' or GitLab's schema has no place for.
"""
import sys
import xml.etree.ElementTree as tree

CASES = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "error", "skipped"}}
ATTRIBUTES = {"testsuites": {"tests", "failures", "errors"},
              "testsuite": {"name", "tests", "failures", "errors", "skipped"}, "testcase": {"name", "classname"},
              "failure": {"type", "message"}, "error": {"type", "message"}, "skipped": {"message"}}


def need(condition, sentence):
    if not condition:
        sys.exit(f"check_junit: {sentence}")


def check(element):
    need(element.tag in ATTRIBUTES, f"there is no element {element.tag}")
    need(set(element.attrib) == ATTRIBUTES[element.tag], f"{element.tag} has {sorted(element.attrib)}")
    for child in element:
        need(child.tag in CASES.get(element.tag, set()), f"{child.tag} in {element.tag}")
        check(child)


def check_counts(element):
    cases = list(element.iter("testcase"))
    found = {"tests": len(cases)}
    for attribute, tag in ("failures", "failure"), ("errors", "error"), ("skipped", "skipped"):
        found[attribute] = sum(case.find(tag) is not None for case in cases)
    for attribute, count in found.items():
        need(element.get(attribute, str(count)) == str(count), f"{attribute} is {element.get(attribute)}, not {count}")


def main():
    root = tree.parse(sys.argv[1]).getroot()
    need(root.tag == "testsuites", f"the root is {root.tag}")
    check(root)
    check_counts(root)
    for suite in root:
        check_counts(suite)
        for case in suite:
            need(len(case) <= 1, "a case with two results")
            outcome = case[0] if len(case) else None
            tag, message = ("passed", "") if outcome is None else (outcome.tag, outcome.get("message"))
            print(f"{tag} {case.get('name')} | {message}")


main()

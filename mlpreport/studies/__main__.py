"""`python -m mlpreport.studies` makes the study of width again."""

from pathlib import Path

from mlpreport.studies.making import make_study

if __name__ == "__main__":
    Path(__file__).with_name("width.json").write_text(make_study().to_json(), encoding="utf-8")

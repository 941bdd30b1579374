"""Studies: more restarts than a build of the site can afford, kept as a file that every build checks."""

from mlpreport.studies.basins import basin_shares, certificates
from mlpreport.studies.making import check_study, fingerprint, make_study
from mlpreport.studies.study import Arm, Share, Study, load_study, read_study, wilson

__all__ = [
    "Arm",
    "Share",
    "Study",
    "basin_shares",
    "certificates",
    "check_study",
    "fingerprint",
    "load_study",
    "make_study",
    "read_study",
    "wilson",
]

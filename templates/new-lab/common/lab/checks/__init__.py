"""What is graded of LABNAME: a package per exercise."""

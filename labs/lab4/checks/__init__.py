"""What is graded of lab4: a package per exercise."""

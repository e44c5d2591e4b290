//! The balanced dumbbell: two parallel binary trees, older nodes higher.

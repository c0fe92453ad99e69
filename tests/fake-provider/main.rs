//! Fake.
fn main(){}

//! Several shops in one server: nothing of one is reached with a key of another, what is wrong with
//! one stops no other, and what one does slows no other.

mod apart;
mod broken;
mod commands;
mod floods;
mod shared;

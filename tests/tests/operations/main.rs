//! What an operator leans on: backups that can be restored, a doctor that names what is wrong, keys
//! beside an open shop, logs without people, alerts on figures that exist, and a way back from each
//! fault of disk and clock.

mod backup;
mod doctor;
mod examples;
mod faults;
mod keys;
mod logs;
mod runbooks;
mod tills;
mod traces;

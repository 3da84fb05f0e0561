//! Goal: io_uring and epoll keep the contract of `Driver` on this kernel. Method: a driver with few
//! slots and real sockets, without a worker. The simulation checks the same contract of the worker.

mod accepting;
mod receiving;
mod rig;
mod sending;
mod waking;

/// Each test is run on each driver.
macro_rules! on_each_driver {
    ($($module:ident: $($test:ident),*;)*) => {
        mod uring {
            $($(#[test]
            fn $test() {
                super::$module::$test::<corecast::io::uring::UringRing>();
            })*)*
        }
        mod epoll {
            $($(#[test]
            fn $test() {
                super::$module::$test::<corecast::io::epoll::EpollDriver>();
            })*)*
        }
    };
}

on_each_driver! {
    accepting:
        a_retired_slot_is_not_given_again_until_it_is_closed,
        a_cancelled_accept_takes_no_connection_any_more,
        an_accept_is_cancelled_between_the_calls_of_enter,
        a_multishot_accept_brings_all_that_wait,
        an_accept_that_tells_peers_brings_no_more_at_a_time_than_it_says,
        without_a_slot_a_multishot_accept_ends,
        peers_are_told_if_that_is_asked_for,
        once_accepting_has_ended_connections_are_refused,
        what_waits_is_accepted_before_the_end,
        a_connection_that_woke_an_accept_that_ends_is_not_left_behind,
        an_accept_that_is_not_submitted_yet_ends_as_any_other;
    receiving:
        bytes_come_in_order_and_then_the_end,
        ends_among_the_data_of_others_lose_nothing,
        a_reset_is_told,
        a_cancelled_receive_leaves_later_bytes_to_the_next,
        a_receive_for_one_buffer_ends_with_it,
        without_a_buffer_a_receive_ends_and_loses_nothing,
        a_flood_does_not_keep_others_waiting,
        a_slot_is_used_again_without_events_of_the_connection_before,
        urgent_data_hold_nothing_up;
    sending:
        a_complete_send_brings_no_event,
        an_echo_is_sent_from_its_buffer,
        shared_bytes_reach_all,
        a_send_falls_short_and_goes_on_where_it_ended,
        a_queued_send_that_waits_can_be_called_back,
        many_that_begin_to_read_at_once_are_sent_to_in_turns,
        a_broken_connection_is_told_to_its_sender,
        after_a_half_close_it_still_receives,
        the_kernel_tells_how_far_the_peer_is;
    waking:
        a_wake_ends_a_sleep,
        a_wake_before_the_sleep_is_not_lost,
        one_loop_wakes_another,
        an_idle_driver_sleeps_for_as_long_as_it_may;
}

# Runs one unit of Redis' own test suite against a running server, test by test.
#
#   tclsh driver.tcl UNIT PORT PID LOG SKIPFILE LARGE     in the root of a Redis source tree; LARGE: 1 to run large-memory tests
#
# The suite ends a unit at its first error outside of an assertion, which hides all that follows. Here an error ends only
# the command it happened in: each top-level command of a file, and of a start_server block, is run by itself. Nothing in
# their tree is changed: their files are read, and a few procedures are replaced after that.
#
# Says on standard output, one Tcl list a line: testing NAME, ok NAME, err NAME TEXT, skip NAME, ignore TEXT, outside TEXT.

lassign $argv unit ::driver_port ::driver_pid ::driver_log ::driver_skips ::driver_large
set argv {}

# Their definitions, and settings for an empty command line, are what stands before they become a client or a server.
set helper [open tests/test_helper.tcl]
set text [read $helper]
close $helper
eval [string range $text 0 [string first "\nif {\$::client} \{" $text]]

set ::external 1
set ::durable 1
set ::host 127.0.0.1
set ::port $::driver_port
set ::no_latency 1
set ::test_server_fd stdout
set ::large_memory $::driver_large
set file [open $::driver_skips]
set ::skiptests [split [string trim [read $file]] "\n"]
close $file
fconfigure stdout -encoding utf-8 -buffering line

proc say {args} {
    puts [string map {"\n" "\\n" "\r" "\\r"} $args]
}

# The suite's reports come through here.
proc send_data_packet {fd status data {elapsed 0}} {
    switch $status {
        err {
            # Its first line names the test and the file.
            set at [string first "\n" $data]
            set name [regsub { in tests/[^ ]*$} [string range $data 0 $at-1] {}]
            say err $name [string range $data $at+1 end]
            after_failure
        }
        testing - ok - skip { say $status $data }
        default { say $status $data }
    }
    flush stdout
}

# A test that failed may have left its connection in the middle of a reply, or the server with other settings.
proc after_failure {} {
    if {![llength $::servers]} return
    catch { reconnect }
}

proc run_commands {level code} {
    set command ""
    foreach line [split $code "\n"] {
        if {$command eq "" && [regexp {^\s*(#|$)} $line]} continue
        append command $line "\n"
        if {![info complete $command]} continue
        if {[catch {uplevel $level $command} error]} {
            say outside "[string range [string trim $command] 0 200] -> $error"
            after_failure
        }
        set command ""
    }
    if {[string trim $command] ne ""} { say outside "no complete command: [string range $command 0 200]" }
}

# One server serves the whole unit; a block gets an empty one, with its settings, and without its tags' refusals.
proc start_server {options {code undefined}} {
    set overrides {}
    set tags {}
    foreach {option value} $options {
        if {$option eq "overrides"} { set overrides $value }
        if {$option eq "tags"} { set tags [string map {\" ""} $value] }
    }
    set saved_tags $::tags
    set ::tags [concat $::tags $tags]
    if {![tags_acceptable $::tags refusal]} {
        say ignore "a block of tests: $refusal: [join [block_tests $code] { | }]"
        set ::tags $saved_tags
        return
    }
    set client [redis $::host $::port 0 0]
    $client select 9
    $client flushall
    catch { $client function flush }
    lappend ::servers [dict create host $::host port $::port client $client pid $::driver_pid stdout $::driver_log stderr $::driver_log \
        config [dict create port $::port] config_file /nonexistent]
    set saved {}
    foreach {name value} $overrides {
        if {[catch {
            set old [lindex [$client config get $name] 1]
            $client config set $name $value
            dict set saved $name $old
        } error]} { say note "CONFIG SET $name $value: $error" }
    }
    if {$code ne "undefined"} { run_commands 2 $code }
    foreach {name value} $saved { catch { r config set $name $value } }
    catch { [dict get [lindex $::servers end] client] close }
    set ::servers [lrange $::servers 0 end-1]
    set ::tags $saved_tags
}

# The names of the tests that a refused block would have run.
proc block_tests {code} {
    set names {}
    foreach {- braced quoted} [regexp -all -inline -line {^\s*test (?:\{([^\}]*)\}|"([^"]*)")} $code] { lappend names $braced$quoted }
    return $names
}

proc kill_server {args} {}
proc restart_server {args} { error "needs a server that the suite can restart" }

set ::curfile tests/$unit.tcl
set file [open $::curfile]
fconfigure $file -encoding utf-8
set code [read $file]
close $file
run_commands 1 $code
say done $unit

"""Makers of the commands about the connection."""

from diff.generate import Command, makes


@makes("SELECT", weight=1.5)
def select(draw, name):
    return Command((name, draw.any_database()))


@makes("HELLO", weight=1)
def hello(draw, name):
    return Command((name, draw.one_of(b"2", b"3")), "hello")


@makes("PING", weight=1)
def ping(draw, name):
    return Command((name, draw.value()) if draw.chance(0.4) else (name,))


@makes("ECHO", weight=0.7)
def echo(draw, name):
    return Command((name, draw.value()))


@makes("RESET", weight=0.3)
def reset(_, name):
    return Command((name,))

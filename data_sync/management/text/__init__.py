"""How verbs say things on a terminal. Values come from other environments: none is printed raw."""

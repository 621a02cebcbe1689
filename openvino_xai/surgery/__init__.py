"""From a model to a hooked one: read -> locate -> plan -> emit -> verify -> write."""

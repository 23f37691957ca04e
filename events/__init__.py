"""Events: frozen structs of all that can happen, their envelope and their codec. Data only."""

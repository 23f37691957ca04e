"""What can happen: frozen structs, their envelope and their codec. Data only."""
